"""What a database administrator does once: the application's database, its administrator and its first user."""

from __future__ import annotations

import json
from typing import Any

import psycopg
from psycopg import sql


def provision(superuser: str, application: dict[str, Any], admin: dict[str, Any]) -> None:
    """Create database, administrator and user with the passwords that Secrets Manager generated. Twice is once.

    ``superuser`` is a connection string of the server's superuser. The administrator may create roles and nothing more.
    """
    with psycopg.connect(superuser, autocommit=True) as server:
        _login_role(server, admin, sql.SQL("CREATEROLE"))
        if not _exists(server, "pg_roles", "rolname", application["username"]):
            _login_role(server, application, sql.SQL("NOCREATEROLE"))
        # Since PostgreSQL 16 a role creator administers only what it was given.
        server.execute(
            sql.SQL("GRANT {} TO {} WITH ADMIN OPTION").format(
                sql.Identifier(application["username"]), sql.Identifier(admin["username"])
            )
        )
        if not _exists(server, "pg_database", "datname", application["dbname"]):
            server.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(
                    sql.Identifier(application["dbname"]), sql.Identifier(admin["username"])
                )
            )
    with psycopg.connect(superuser, dbname=application["dbname"], autocommit=True) as database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS visits (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz DEFAULT now())"
        )
        database.execute(
            sql.SQL("GRANT SELECT, INSERT ON visits TO {}").format(sql.Identifier(application["username"]))
        )


def _exists(connection: psycopg.Connection[Any], catalog: str, column: str, name: str) -> bool:
    query = sql.SQL("SELECT 1 FROM {} WHERE {} = %s").format(sql.Identifier(catalog), sql.Identifier(column))
    return connection.execute(query, [name]).fetchone() is not None


def _login_role(connection: psycopg.Connection[Any], secret: dict[str, Any], attribute: sql.Composable) -> None:
    """Create the role, or set its password again; the server sees a SCRAM verifier, never the password."""
    verifier = connection.pgconn.encrypt_password(
        secret["password"].encode(), secret["username"].encode(), b"scram-sha-256"
    ).decode()
    verb = sql.SQL("ALTER" if _exists(connection, "pg_roles", "rolname", secret["username"]) else "CREATE")
    connection.execute(
        sql.SQL("{} ROLE {} LOGIN {} PASSWORD {}").format(
            verb, sql.Identifier(secret["username"]), attribute, sql.Literal(verifier)
        )
    )


def parse(secret_string: str) -> dict[str, Any]:
    """A database secret's JSON."""
    parsed: dict[str, Any] = json.loads(secret_string)
    return parsed
