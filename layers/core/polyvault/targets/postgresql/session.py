"""One login to PostgreSQL: encrypted, bounded in time, with errors that are ours."""

from __future__ import annotations

import os
import select
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg import pq, sql

from polyvault.domain.deadline import Deadline
from polyvault.domain.rotation import Credential
from polyvault.errors import InvalidInputError, TargetUnavailableError
from polyvault.ports import Clock
from polyvault.targets.postgresql.failures import login_failure, statement_failure

_COMMIT_SECONDS = 0.5
_LONGEST_LOCK_WAIT = 2.0
_LONGEST_STATEMENT = 8.0
_LONGEST_CONNECT = 5.0
type Statement = sql.Composed | sql.SQL | bytes


class Session:
    """A transaction on one connection. Nothing is kept unless `commit` returns."""

    def __init__(self, connection: psycopg.Connection[Any], *, clock: Clock, deadline: float) -> None:
        self._connection = connection
        self._clock = clock
        self._deadline = Deadline(deadline)

    def rows(self, statement: Statement, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """Run a query and answer its rows."""
        return self._tell(lambda: self._connection.execute(statement, parameters).fetchall(), "read its catalog")

    def run(self, statement: Statement, act: str) -> None:
        """Run a statement that has no rows; ``act`` says in an error what it was to do."""
        self._tell(lambda: self._connection.execute(statement), act)

    def commit(self) -> None:
        """Keep the transaction; raises DeadlineExceededError, and keeps nothing, when the time is nearly up."""
        self._deadline.require(_COMMIT_SECONDS, "commit on the target", now=self._clock.monotonic())
        self._tell(self._connection.commit, "commit")

    @staticmethod
    def _tell[T](call: Callable[[], T], act: str) -> T:
        try:
            return call()
        except psycopg.Error as error:
            failure = statement_failure(error, act)
        # Outside of `except`: psycopg's error holds the connection, its password and what we sent.
        raise failure

    def verifier(self, credential: Credential) -> str:
        """libpq's verifier, with SASLprep and a random salt, for passwords that are not ours."""
        made = self._connection.pgconn.encrypt_password(
            credential.password.reveal_bytes(), credential.username.encode(), b"scram-sha-256"
        )
        return made.decode()

    def fileno(self) -> int:
        return self._connection.fileno()

    def close(self) -> None:
        """Drop the connection; an open transaction is undone by the server."""
        self._connection.close()


def open_session(credential: Credential, *, ca_file: Path | None, clock: Clock, deadline: float) -> Session:
    """Log in, with at most a third of the time left for it, and set the session's own limits.

    Raises Target* errors: refused, unreachable and TLS apart. ``deadline`` is in the clock's monotonic seconds.
    """
    left = deadline - clock.monotonic()
    connection = _connect(credential, ca_file, clock, timeout=connect_budget(left))
    session = Session(connection, clock=clock, deadline=deadline)
    try:
        _limit(session, left)
    except BaseException:
        session.close()
        raise
    return session


def connect_budget(left: float) -> float:
    """Seconds that one connect may take of the seconds left."""
    return max(0.1, min(_LONGEST_CONNECT, left / 3))


def _limit(session: Session, left: float) -> None:
    # pg_catalog first and alone: an administrator's session must not run what an application put into its path.
    session.rows(
        sql.SQL(
            "SELECT set_config('search_path', 'pg_catalog', false),"
            " set_config('lock_timeout', %(lock)s, false), set_config('statement_timeout', %(statement)s, false),"
            " set_config('idle_in_transaction_session_timeout', %(idle)s, false), set_config('jit', 'off', false)"
        ),
        {
            "lock": _milliseconds(min(_LONGEST_LOCK_WAIT, left / 4)),
            "statement": _milliseconds(min(_LONGEST_STATEMENT, left / 2)),
            "idle": _milliseconds(left),
        },
    )


def _milliseconds(seconds: float) -> str:
    return str(max(1, int(seconds * 1000)))


def _parameters(credential: Credential, ca_file: Path | None) -> dict[str, str | int]:
    if credential.host[:1] in {"/", "@"} or "," in credential.host:
        # libpq would read a socket's directory or a list of hosts, and neither is what TLS is checked against.
        raise InvalidInputError("host", "must be one host name or address")
    authorities = str(ca_file) if ca_file else ssl.get_default_verify_paths().cafile or "system"
    return {
        "host": credential.host,
        "port": credential.port,
        "user": credential.username,
        "password": credential.password.reveal(),
        "dbname": credential.dbname or "postgres",
        "sslmode": "verify-full" if credential.tls else "disable",
        "sslrootcert": authorities,
        "gssencmode": "disable",
        # Never a password in the clear, and never a server that lets anybody in: such a login would prove nothing.
        "require_auth": "scram-sha-256,md5",
        "application_name": "polyvault",
        "client_encoding": "UTF8",
        "keepalives_idle": 2,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        "tcp_user_timeout": 5000,
    }


def _connect(credential: Credential, ca_file: Path | None, clock: Clock, *, timeout: float) -> psycopg.Connection[Any]:
    info = psycopg.conninfo.make_conninfo("", **_parameters(credential, ca_file))
    connection = pq.PGconn.connect_start(info.encode())
    trace = _Trace(connection)
    try:
        connected = _finish_connecting(connection, clock, timeout)
    except BaseException:
        trace.stop()
        connection.finish()
        raise
    record = trace.stop()
    if not connected:
        message = connection.get_error_message()
        connection.finish()
        raise login_failure(record, message, tls=credential.tls)
    connection.nonblocking = 1
    return psycopg.Connection(connection)


def _finish_connecting(connection: pq.abc.PGconn, clock: Clock, timeout: float) -> bool:
    """Drive libpq to the end; False when the login failed."""
    end = clock.monotonic() + timeout
    while connection.status != pq.ConnStatus.BAD:
        state = connection.connect_poll()
        if state == pq.PollingStatus.OK:
            return True
        if state == pq.PollingStatus.FAILED:
            return False
        reading = state == pq.PollingStatus.READING
        waits = [connection.socket]
        left = end - clock.monotonic()
        if left <= 0 or not any(select.select(waits if reading else [], [] if reading else waits, [], left)):
            raise TargetUnavailableError(f"the target gave no answer within {timeout:.1f} s")
    return False


class _Trace:
    """libpq's own record of one login's protocol, in a pipe: never on a disk, gone with the login. Linux only."""

    def __init__(self, connection: pq.abc.PGconn) -> None:
        self._connection = connection
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        connection.trace(self._writer)
        connection.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS)

    def stop(self) -> str:
        """The record. Before the connection is finished: libpq then writes out what it holds, and no later."""
        self._connection.untrace()
        try:
            return os.read(self._reader, 65_536).decode(errors="replace")
        except BlockingIOError:
            return ""
        finally:
            os.close(self._reader)
            os.close(self._writer)
