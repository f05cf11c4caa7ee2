"""A vault, a PostgreSQL server and an application's secret, in a known state before each scenario."""

from __future__ import annotations

import json
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from polyvault.adapters.system_clock import SystemClock
from polyvault.domain.audit import Actor, ActorType
from polyvault.domain.credential import parse_credential
from polyvault.domain.rotation import Access, Credential, RotationRequest, Step
from polyvault.domain.secret import SecretValue, StagingLabel, VersionRef
from polyvault.providers import memory
from polyvault.services.rotate import Rotate
from polyvault.store import SecretStore
from polyvault.targets.postgresql import PostgresqlTarget
from psycopg import sql

from tests.killpoints.gates import GatedAuditLog, GatedVault, Gates, gated_question, gated_sessions

SECRET = "orders"
ADMIN_SECRET = "orders-admin"
FUNCTION_ARN = "arn:aws:lambda:us-east-1:111122223333:function:rotation"
DATABASE = "killpoints"
LOGINS = ("orders", "orders_clone")
OWNER = "orders_owner"
ADMIN = "orders_admin"
_ROLES = (*LOGINS, OWNER, ADMIN, "readers", "intern")
_ATTEMPT_SECONDS = 30.0

_OBJECTS = """
CREATE SCHEMA shop;
CREATE TABLE shop.orders (id int PRIMARY KEY, item text, price numeric);
CREATE SEQUENCE shop.numbers;
CREATE FUNCTION shop.total() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM shop.orders';
REVOKE EXECUTE ON FUNCTION shop.total() FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA shop TO orders;
GRANT SELECT, INSERT ON shop.orders TO orders;
GRANT UPDATE (price) ON shop.orders TO orders WITH GRANT OPTION;
GRANT USAGE ON SEQUENCE shop.numbers TO orders;
GRANT EXECUTE ON FUNCTION shop.total() TO orders;
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO orders;
GRANT readers TO orders;
ALTER ROLE orders SET search_path TO shop, public;
ALTER ROLE orders CONNECTION LIMIT 20;
CREATE TABLE shop.own (id int);
ALTER TABLE shop.own OWNER TO orders;
"""


@dataclass(frozen=True, slots=True)
class Server:
    """Where PostgreSQL listens, and its superuser."""

    host: str
    port: int
    superuser: str
    password: str
    ca_path: Path

    def connect(self, dbname: str, **login: str) -> psycopg.Connection[Any]:
        """A verified connection of the superuser, or of the user and password given."""
        return psycopg.connect(
            host=self.host,
            port=self.port,
            dbname=dbname,
            user=login.get("user", self.superuser),
            password=login.get("password", self.password),
            sslmode="verify-full",
            sslrootcert=str(self.ca_path),
            autocommit=True,
        )


class _WithoutWaits(SystemClock):
    """Real time without sleeping: this vault shows a value as soon as it is written."""

    def sleep(self, seconds: float) -> None:
        """Go on at once."""


class World:
    """One secret and its target. `rotate` runs a step in what is, each time, a new process."""

    def __init__(self, server: Server, *, strategy: str) -> None:
        self.server = server
        self.strategy = strategy
        self.gates = Gates()
        self.clock = _WithoutWaits()
        self.vault = GatedVault(self.gates, self.clock)
        self.audit = GatedAuditLog(self.gates)
        self.secrets_seen: list[str] = []
        self._superuser = server.connect(DATABASE)
        self._prepare()

    def close(self) -> None:
        self._superuser.close()

    # The state before a scenario

    def _prepare(self) -> None:
        app, admin = (secrets.token_urlsafe(24) for _ in range(2))
        self.secrets_seen += [app, admin]
        with self._superuser.transaction():
            self._drop()
            self._create_login("orders", app, "")
            self._create_login(ADMIN, admin, "CREATEROLE")
            for role in ("readers", "intern"):
                self._superuser.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
            self._superuser.execute(f"GRANT orders, readers, intern TO {ADMIN} WITH ADMIN OPTION")
            self._superuser.execute(_OBJECTS)
            self._superuser.execute(f"ALTER SCHEMA shop OWNER TO {ADMIN}; ALTER TABLE shop.orders OWNER TO {ADMIN}")
        endpoint = {"engine": "postgres", "host": self.server.host, "port": self.server.port, "dbname": DATABASE}
        document = {**endpoint, "username": "orders", "password": app, "strategy": self.strategy, "note": [1.50, None]}
        if self.strategy == "alternating-users":
            document["masterarn"] = ADMIN_SECRET
        self.gates.start()
        for name, value in ((SECRET, document), (ADMIN_SECRET, {"username": ADMIN, "password": admin})):
            self.vault.create(name, SecretValue(json.dumps(value)), like=None, version_id=str(uuid.uuid4()))
        self.vault.enable_rotation(SECRET, FUNCTION_ARN)

    def _drop(self) -> None:
        self._superuser.execute("DROP SCHEMA IF EXISTS shop CASCADE")
        for role in _ROLES:
            if self._superuser.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                self._superuser.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(role)))

    def _create_login(self, name: str, password: str, attribute: str) -> None:
        made = self._superuser.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
        self._superuser.execute(
            sql.SQL(f"CREATE ROLE {{}} LOGIN {attribute} PASSWORD {{}}").format(sql.Identifier(name), sql.Literal(made))
        )

    def drift_rights(self) -> None:
        """What happens to a twin while nobody looks: rights too many, and other settings."""
        waiting = next(name for name in LOGINS if name != self.current().username)
        self._superuser.execute(
            sql.SQL(
                "SET ROLE {1}; GRANT DELETE ON shop.orders TO {0}; GRANT intern TO {0}; RESET ROLE;"
                " ALTER ROLE {0} SET work_mem TO '1MB'; ALTER ROLE {0} RESET search_path;"
                " ALTER ROLE {0} CONNECTION LIMIT 3"
            ).format(sql.Identifier(waiting), sql.Identifier(ADMIN))
        )

    # A rotation, as Secrets Manager runs it

    def request(self) -> str:
        """Secrets Manager marks the new version pending; it has no value yet."""
        return self.vault.request_rotation(SECRET, client_request_token=str(uuid.uuid4()))

    def rotate(self, step: Step, token: str) -> None:
        """One step in a process of its own."""
        actor = Actor(FUNCTION_ARN, ActorType.ROLE)
        store = SecretStore(self.vault, name="aws", clock=self.clock, audit=self.audit, actor=actor)
        Rotate(
            store,
            targets=lambda _: self.target(),
            audit=self.audit,
            clock=self.clock,
            actor=actor,
            choice=secrets.choice,
        ).rotate(
            RotationRequest(SECRET, token, step, SecretValue("canary-rotation-token")),
            remaining_seconds=_ATTEMPT_SECONDS,
            function_arn=FUNCTION_ARN,
        )

    def target(self) -> PostgresqlTarget:
        return PostgresqlTarget(
            clock=self.clock,
            ca_file=self.server.ca_path,
            open_session=gated_sessions(self.gates),
            installed_salt=gated_question(self.gates),
        )

    # What an observer sees, past the gates

    def read(self, version: VersionRef) -> Credential | None:
        """The credential of a version as an observer of the vault reads it."""
        try:
            credential = parse_credential(memory.Provider.get(self.vault, SECRET, version).value)
        except memory.MemoryFault:
            return None
        self.secrets_seen.append(credential.password.reveal())
        return credential

    def current(self) -> Credential:
        credential = self.read(VersionRef())
        assert credential is not None
        return credential

    def labelled(self, label: StagingLabel) -> str | None:
        return memory.Provider.rotation_state(self.vault, SECRET).holder_of(label)

    def logs_in(self, credential: Credential) -> bool:
        """What the application would find."""
        try:
            with self.server.connect(
                DATABASE, user=credential.username, password=credential.password.reveal()
            ) as connection:
                connection.execute("SELECT shop.total(), nextval('shop.numbers')")
        except psycopg.Error:
            return False
        return True

    def access(self, credential: Credential) -> Access:
        """Who the credential is and what it may do."""
        target = PostgresqlTarget(clock=self.clock, ca_file=self.server.ca_path)
        return target.login(credential, deadline=self.clock.monotonic() + _ATTEMPT_SECONDS)

    def verifiers(self) -> dict[str, str]:
        """What the server holds for each login, which only its superuser sees."""
        query = "SELECT rolname::text, rolpassword FROM pg_authid WHERE rolname = ANY(%s) AND rolcanlogin"
        return dict(self._superuser.execute(query, [list(LOGINS)]).fetchall())


def create_database(server: Server) -> None:
    """The database that all scenarios use."""
    with server.connect("postgres") as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
