"""The PostgreSQL target on a real server: logins told apart, passwords set, two users kept equal."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from polyvault.adapters.system_clock import SystemClock
from polyvault.domain.rotation import Credential
from polyvault.domain.secret import SecretValue
from polyvault.errors import (
    DeadlineExceededError,
    InvalidInputError,
    PostConditionError,
    TargetPermissionError,
    TargetRejectedCredentialError,
    TargetTlsError,
    TargetUnavailableError,
)
from polyvault.targets.postgresql import PostgresqlTarget
from psycopg import sql

from local.certificates import CertificateAuthority
from local.postgresql import PostgreSQL

CLOCK = SystemClock()
DATABASE = "rotation"
FIRST = "first-password"
PASSWORD = "a-New.Password~of-32-characters1"
VERSION = "1" * 36
PATH = "SELECT current_setting('search_path'), current_schemas(false)"
HOSTILE_NAMES = [
    "plain",
    "Upper Case",
    'quo"ted',
    "apo'strophe",
    "semi;colon--",
    "back\\slash",
    "per%cent%s",
    "per%(name)s",
    "bra{0}ce{}",
    "dollar$$",
    "ünïcödé",
    "日本語",
    "😀",
    " leading",
    "trailing ",
    "tab\tnewline\n",
    '"; DROP ROLE x; --',
    "=key value",
    "host=evil port=1",
    "n" * 57,
    "é" * 28,
]


class Database:
    """One application's user, objects and administrator, in a database of the test session."""

    def __init__(self, server: PostgreSQL) -> None:
        self.server = server
        with self.superuser("postgres") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        self._connection = self.superuser(DATABASE)
        self.target = PostgresqlTarget(clock=CLOCK, ca_file=server.ca_path)

    def superuser(self, dbname: str) -> psycopg.Connection[Any]:
        server = self.server
        return self.connect(self.credential(server.superuser, server.password, dbname=dbname))

    def connect(self, credential: Credential) -> psycopg.Connection[Any]:
        """What an application does."""
        return psycopg.connect(
            host=credential.host,
            port=credential.port,
            user=credential.username,
            password=credential.password.reveal(),
            dbname=credential.dbname or DATABASE,
            sslmode="verify-full",
            sslrootcert=str(self.server.ca_path),
            autocommit=True,
        )

    def credential(self, username: str, password: str, **changes: Any) -> Credential:
        server = self.server
        made = Credential("postgres", server.host, server.port, username, SecretValue(password), dbname=DATABASE)
        return replace(made, **changes)

    def run(self, statement: str, *names: str) -> list[tuple[Any, ...]]:
        """As superuser; each ``{}`` is a quoted name."""
        cursor = self._connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
        return cursor.fetchall() if cursor.description else []

    def user(self, name: str, password: str = FIRST, attributes: str = "") -> Credential:
        made = self._connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
        statement = sql.SQL("CREATE ROLE {} LOGIN " + attributes + " PASSWORD {}")
        self._connection.execute(statement.format(sql.Identifier(name), sql.Literal(made)))
        return self.credential(name, password)

    def admin_of(self, *names: str) -> Credential:
        admin = self.user(f"admin-{uuid.uuid4().hex[:8]}", "admin-password", "CREATEROLE")
        for name in names:
            self.run("GRANT {} TO {} WITH ADMIN OPTION", name, admin.username)
        return admin

    def verifier(self, name: str) -> str | None:
        found = self._connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [name]).fetchone()
        return found[0] if found else None

    def roles(self) -> list[tuple[Any, ...]]:
        """Everything that a rotation could change."""
        return self.run(
            "SELECT a.*, (SELECT array_agg(s.* ORDER BY s.*) FROM pg_db_role_setting s WHERE setrole = a.oid),"
            " (SELECT array_agg(roleid ORDER BY roleid) FROM pg_auth_members m WHERE m.member = a.oid)"
            " FROM pg_authid a ORDER BY oid"
        )

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def database(postgresql: PostgreSQL) -> Iterator[Database]:
    database = Database(postgresql)
    yield database
    database.close()


@pytest.fixture
def app(database: Database) -> Credential:
    """An application's user with a table, fresh for each test."""
    name = f"app{uuid.uuid4().hex[:8]}"
    user = database.user(name)
    database.run("CREATE SCHEMA {}", name)
    database.run("GRANT USAGE, CREATE ON SCHEMA {} TO {}", name, name)
    database.run("CREATE TABLE {}.orders (id int, price int)", name)
    database.run("GRANT SELECT, INSERT ON {}.orders TO {}", name, name)
    return user


def soon(seconds: float = 20.0) -> float:
    return CLOCK.monotonic() + seconds


def twin_of(credential: Credential, password: str = PASSWORD) -> Credential:
    return replace(credential, username=f"{credential.username}_clone", password=SecretValue(password))


def ensure(database: Database, admin: Credential, current: Credential, new: Credential, version: str = VERSION) -> None:
    database.target.ensure_twin(admin, current, new, version_id=version, deadline=soon())


# Logins told apart


def test_a_login_tells_who_it_is_and_what_it_may_do(database: Database, app: Credential) -> None:
    access = database.target.login(app, deadline=soon())
    assert (access.identity, access.acts_as) == (app.username, app.username)
    assert f"grant SELECT ON TABLE {app.username}.orders" in access.privileges
    assert f"grant DELETE ON TABLE {app.username}.orders" not in access.privileges


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"password": SecretValue("wrong")}, TargetRejectedCredentialError),
        ({"username": "nobody-of-that-name"}, TargetRejectedCredentialError),
        ({"dbname": "no-such-database"}, PostConditionError),
        ({"port": 1}, TargetUnavailableError),
        ({"host": "no-such-host.invalid"}, TargetUnavailableError),
        ({"tls": False}, TargetTlsError),
        ({"host": "/var/run/postgresql"}, InvalidInputError),
        ({"host": "127.0.0.1,127.0.0.2"}, InvalidInputError),
        ({"host": "@abstract"}, InvalidInputError),
    ],
    ids=str,
)
def test_what_keeps_a_login_from_succeeding_is_told_apart(
    database: Database, app: Credential, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as raised:
        database.target.login(replace(app, **changes), deadline=soon())
    assert type(raised.value) is error
    assert "first-password" not in str(raised.value)


@pytest.mark.parametrize(
    "locked", ["ALTER ROLE {} NOLOGIN", "ALTER ROLE {} VALID UNTIL '2001-01-01'", "ALTER ROLE {} PASSWORD NULL"]
)
def test_a_locked_or_expired_account_is_a_refused_login(database: Database, app: Credential, locked: str) -> None:
    database.run(locked, app.username)
    with pytest.raises(TargetRejectedCredentialError):
        database.target.login(app, deadline=soon())


def test_a_server_that_is_full_is_unavailable_and_not_a_wrong_password(database: Database, app: Credential) -> None:
    database.run("ALTER ROLE {} CONNECTION LIMIT 1", app.username)
    with database.connect(app), pytest.raises(TargetUnavailableError, match="53300"):
        database.target.login(app, deadline=soon())


def test_a_missing_right_to_the_database_is_no_refused_password(database: Database, app: Credential) -> None:
    closed = f"closed-{app.username}"
    database.run("CREATE DATABASE {}", closed)
    database.run("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", closed)
    with pytest.raises(PostConditionError, match="42501"):
        database.target.login(replace(app, dbname=closed), deadline=soon())


@pytest.mark.parametrize("ask", ["login", "installed_version"])
def test_a_certificate_of_another_authority_is_refused(
    database: Database, app: Credential, ask: str, tmp_path: Path
) -> None:
    other = CertificateAuthority.open(tmp_path / "other")
    target = PostgresqlTarget(clock=CLOCK, ca_file=other.ca_path)
    with pytest.raises(TargetTlsError):
        target.login(app, deadline=soon()) if ask == "login" else target.installed_version(app, [], deadline=soon())


@pytest.mark.parametrize("ask", ["login", "installed_version"])
def test_a_certificate_of_another_host_is_refused(
    database: Database, app: Credential, ask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same server under a name that its certificate does not hold: "0" is a way to write this host.
    elsewhere = replace(app, host="0")
    target = database.target
    with pytest.raises(TargetTlsError):
        target.login(elsewhere, deadline=soon()) if ask == "login" else target.installed_version(
            elsewhere, [], deadline=soon()
        )


def test_the_systems_authorities_do_not_vouch_for_a_private_server(database: Database, app: Credential) -> None:
    with pytest.raises(TargetTlsError):
        PostgresqlTarget(clock=CLOCK).login(app, deadline=soon())


# Setting a password


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, "m" * 63, "ö" * 31 + "x"])
def test_a_user_of_any_name_changes_its_own_password(database: Database, name: str) -> None:
    user = database.user(name)
    try:
        new = replace(user, password=SecretValue(PASSWORD))
        database.target.set_password(user, new, version_id=VERSION, deadline=soon())
        assert database.target.login(new, deadline=soon()).identity == name
        assert database.target.installed_version(new, ["0" * 36, VERSION], deadline=soon()) == VERSION
        with pytest.raises(TargetRejectedCredentialError):
            database.target.login(user, deadline=soon())
    finally:
        database.run("DROP ROLE {}", name)


def test_setting_one_version_twice_writes_the_same_bytes(database: Database, app: Credential) -> None:
    new = replace(app, password=SecretValue(PASSWORD))
    database.target.set_password(app, new, version_id=VERSION, deadline=soon())
    once = database.verifier(app.username)
    database.target.set_password(new, new, version_id=VERSION, deadline=soon())
    assert database.verifier(app.username) == once
    assert once is not None
    assert PASSWORD not in once


def test_a_password_that_is_not_ours_or_of_nobody_is_of_no_version(database: Database, app: Credential) -> None:
    assert database.target.installed_version(app, [VERSION], deadline=soon()) is None
    nobody = replace(app, username="nobody-at-all")
    assert database.target.installed_version(nobody, [VERSION], deadline=soon()) is None


def test_asking_for_the_version_is_no_failed_login(database: Database, app: Credential, postgresql: PostgreSQL) -> None:
    log = Path(postgresql.process.log)
    before = log.read_text()
    for _ in range(3):
        database.target.installed_version(app, [VERSION], deadline=soon())
    database.target.login(app, deadline=soon())
    added = log.read_text().removeprefix(before)
    assert "authentication failed" not in added
    with pytest.raises(TargetRejectedCredentialError):
        database.target.login(replace(app, password=SecretValue("x")), deadline=soon())
    assert "authentication failed" in log.read_text().removeprefix(before), "the log would have shown it"


def test_a_user_with_a_role_setting_still_changes_its_own_password(database: Database, app: Credential) -> None:
    database.run("CREATE ROLE {} NOLOGIN", f"{app.username}_group")
    database.run("GRANT {} TO {}", f"{app.username}_group", app.username)
    database.run("ALTER ROLE {} SET role TO {}", app.username, f"{app.username}_group")
    new = replace(app, password=SecretValue(PASSWORD))
    database.target.set_password(app, new, version_id=VERSION, deadline=soon())
    assert database.target.login(new, deadline=soon()).identity == app.username


def test_a_lock_that_is_not_given_up_ends_in_time_and_changes_nothing(database: Database, app: Credential) -> None:
    holder = database.superuser(DATABASE)
    holder.autocommit = False
    try:
        holder.execute(sql.SQL("ALTER ROLE {} CONNECTION LIMIT 7").format(sql.Identifier(app.username)))
        before = database.verifier(app.username)
        began = time.monotonic()
        with pytest.raises(TargetUnavailableError, match="55P03") as raised:
            database.target.set_password(
                app, replace(app, password=SecretValue(PASSWORD)), version_id=VERSION, deadline=soon(4)
            )
        assert time.monotonic() - began < 3
        assert raised.value.retryable
        assert database.verifier(app.username) == before
    finally:
        holder.close()


def test_nothing_is_committed_when_the_time_is_up(database: Database, app: Credential) -> None:
    before = database.verifier(app.username)
    with pytest.raises(DeadlineExceededError):
        database.target.set_password(
            app, replace(app, password=SecretValue(PASSWORD)), version_id=VERSION, deadline=soon(0.45)
        )
    assert database.verifier(app.username) == before


# Two users with one owner role


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_user_of_any_name_gets_its_twin(database: Database, name: str) -> None:
    current, admin = database.user(name), database.admin_of(name)
    database.run("GRANT SELECT ON pg_authid TO {}", name)
    assert database.target.next_username(name) == f"{name}_clone"
    assert database.target.next_username(f"{name}_clone") == name
    before = database.target.login(current, deadline=soon())
    new = twin_of(current)
    ensure(database, admin, current, new)
    pending, reference = database.target.compare(new, name, deadline=soon())
    assert (pending.identity, reference.identity) == (f"{name}_clone", name)
    assert pending.acts_as == reference.acts_as == f"{name}_owner"
    assert pending.privileges == reference.privileges == before.privileges
    assert database.target.login(current, deadline=soon()).identity == name
    database.run("DROP OWNED BY {0}, {1}, {2}", name, f"{name}_clone", f"{name}_owner")
    database.run("DROP ROLE {0}, {1}, {2}", name, f"{name}_clone", f"{name}_owner")


@pytest.mark.parametrize("name", ["n" * 58, "é" * 29, "_clone"])
def test_a_name_without_room_for_the_suffix_is_refused(database: Database, name: str) -> None:
    with pytest.raises(InvalidInputError, match="username"):
        database.target.next_username(name)


def test_adoption_keeps_ownership_grants_open_sessions_and_the_password(database: Database, app: Credential) -> None:
    name = app.username
    database.run("CREATE TABLE {}.own (id int)", name)
    database.run("ALTER TABLE {}.own OWNER TO {}", name, name)
    with database.connect(app) as session:
        ensure(database, database.admin_of(name), app, twin_of(app))
        schema = sql.Identifier(name)
        session.execute(sql.SQL("INSERT INTO {}.orders VALUES (1, 2)").format(schema))
        session.execute(sql.SQL("ALTER TABLE {}.own ADD COLUMN made_in_the_old_session int").format(schema))
    for login in (app, twin_of(app)):
        with database.connect(login) as session:
            session.execute(sql.SQL("INSERT INTO {}.orders VALUES (3, 4)").format(schema))
            session.execute(
                sql.SQL("ALTER TABLE {}.own ADD COLUMN {} int").format(schema, sql.Identifier(login.username))
            )
    assert database.run(
        "SELECT tableowner FROM pg_tables WHERE tablename = 'own' AND schemaname = {}::text".replace(
            "{}::text", f"'{name}'"
        )
    ) == [(f"{name}_owner",)]


def test_what_one_user_makes_the_other_may_change(database: Database, app: Credential) -> None:
    ensure(database, database.admin_of(app.username), app, twin_of(app))
    schema = sql.Identifier(app.username)
    with database.connect(app) as session:
        session.execute(sql.SQL("CREATE TABLE {}.made (id int)").format(schema))
    with database.connect(twin_of(app)) as session:
        session.execute(sql.SQL("DROP TABLE {}.made").format(schema))


@pytest.mark.parametrize("password", ["pä¼ß \u00a0x", "with 'quote\" and \\ %s", "\u2168 roman nine", "x" * 900])
def test_adoption_keeps_a_password_of_any_characters(database: Database, password: str) -> None:
    current = database.user(f"u{uuid.uuid4().hex[:8]}", password)
    ensure(database, database.admin_of(current.username), current, twin_of(current))
    assert database.target.login(current, deadline=soon()).identity == current.username


def test_settings_and_limits_come_along(database: Database, app: Credential) -> None:
    name = app.username
    database.run('ALTER ROLE {} SET search_path TO {}, public, "We,ird""Name", "$user"', name, name)
    database.run("ALTER ROLE {} IN DATABASE {} SET statement_timeout TO '77s'", name, DATABASE)
    database.run("ALTER ROLE {} SET application_name TO 'it''s %s; \"quoted\"'", name)
    database.run("ALTER ROLE {} CONNECTION LIMIT 9 VALID UNTIL '2999-01-01 00:00:00+00'", name)
    with database.connect(app) as session:
        expected = session.execute(PATH).fetchone()
    ensure(database, database.admin_of(name), app, twin_of(app))
    for login in (app, twin_of(app)):
        with database.connect(login) as session:
            assert session.execute(PATH).fetchone() == expected
            assert session.execute("SHOW statement_timeout").fetchone() == ("77s",)
            assert session.execute("SHOW application_name").fetchone() == ('it\'s %s; "quoted"',)
    limits = database.run(
        "SELECT rolconnlimit, rolvaliduntil FROM pg_roles WHERE rolname IN ({}, {})".replace(
            "({}, {})", f"('{name}', '{name}_clone')"
        )
    )
    assert limits == [limits[0]] * 2


def test_connect_that_was_given_to_the_user_alone_is_enough_for_both(database: Database) -> None:
    current = database.user(f"u{uuid.uuid4().hex[:8]}")
    closed = f"only-{current.username}"
    database.run("CREATE DATABASE {}", closed)
    database.run("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", closed)
    admin = database.admin_of(current.username)
    for name in (current.username, admin.username):
        database.run("GRANT CONNECT ON DATABASE {} TO {}", closed, name)
    current, admin = replace(current, dbname=closed), replace(admin, dbname=closed)
    ensure(database, admin, current, twin_of(current))
    assert database.target.login(twin_of(current), deadline=soon()).identity == f"{current.username}_clone"


def test_rights_are_levelled_in_both_directions_on_the_pending_twins_turn(database: Database, app: Credential) -> None:
    name, twin = app.username, twin_of(app)
    admin = database.admin_of(name)
    ensure(database, admin, app, twin)
    wanted = database.target.login(app, deadline=soon()).privileges
    database.run("ALTER TABLE {}.orders OWNER TO {}", name, admin.username)
    for drift in (
        "GRANT DELETE ON {}.orders TO {} WITH GRANT OPTION",
        "GRANT UPDATE (price) ON {}.orders TO {}",
    ):
        database.run(drift, name, twin.username)
    database.run("ALTER ROLE {} CREATEDB CONNECTION LIMIT 1", twin.username)
    database.run("ALTER ROLE {} SET work_mem TO '1MB'", twin.username)
    assert database.target.login(twin, deadline=soon()).privileges != wanted
    admin = replace(admin, username=database.server.superuser, password=SecretValue(database.server.password))
    ensure(database, admin, app, twin, "2" * 36)
    assert database.target.login(twin, deadline=soon()).privileges == wanted


def test_a_right_that_the_current_user_alone_got_is_given_to_its_twin(database: Database, app: Credential) -> None:
    name, twin = app.username, twin_of(app)
    admin = database.admin_of(name)
    database.run("ALTER TABLE {}.orders OWNER TO {}", name, admin.username)
    ensure(database, admin, app, twin)
    database.run("GRANT TRUNCATE ON {}.orders TO {}", name, name)
    database.run("CREATE ROLE {}", f"{name}_extra")
    database.run("GRANT {} TO {} WITH ADMIN OPTION", f"{name}_extra", admin.username)
    database.run("GRANT {} TO {}", f"{name}_extra", name)
    database.run("GRANT USAGE ON SCHEMA {} TO {}", name, admin.username)
    ensure(database, admin, app, twin, "2" * 36)
    pending, reference = database.target.compare(twin, name, deadline=soon())
    assert pending.privileges == reference.privileges
    assert {f"grant TRUNCATE ON TABLE {name}.orders", f"member {name}_extra"} <= pending.privileges


def test_a_right_that_the_administrator_cannot_take_back_stops_the_rotation_whole(
    database: Database, app: Credential
) -> None:
    name, twin = app.username, twin_of(app)
    admin = database.admin_of(name)
    ensure(database, admin, app, twin)
    database.run("GRANT pg_read_all_data TO {}", twin.username)
    before = database.roles()
    with pytest.raises((PostConditionError, TargetPermissionError), match="pg_read_all_data"):
        ensure(database, admin, app, twin_of(app, "another-Password.of~32-characters"), "2" * 36)
    assert database.roles() == before


def test_a_membership_that_somebody_else_gave_stops_the_rotation_whole(database: Database, app: Credential) -> None:
    twin, admin, group = twin_of(app), database.admin_of(app.username), f"{app.username}_group"
    ensure(database, admin, app, twin)
    database.run("CREATE ROLE {}", group)
    database.run("GRANT {} TO {} WITH ADMIN OPTION", group, admin.username)
    database.run("GRANT {} TO {}", group, twin.username)  # by the superuser: the administrator's REVOKE is a no-op
    before = database.roles()
    with pytest.raises(PostConditionError, match=f"0 missing, 1 beyond, among them: member {group}"):
        ensure(database, admin, app, twin_of(app, "another-Password.of~32-characters"), "2" * 36)
    assert database.roles() == before


def test_a_right_in_another_database_is_seen_and_stops_the_rotation_whole(database: Database, app: Credential) -> None:
    twin, admin = twin_of(app), database.admin_of(app.username)
    ensure(database, admin, app, twin)
    with database.superuser("postgres") as other:
        other.execute(sql.SQL("CREATE TABLE {} ()").format(sql.Identifier(app.username)))
        other.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(*map(sql.Identifier, (app.username, twin.username))))
    with pytest.raises(PostConditionError, match="1 beyond, among them: acl elsewhere postgres"):
        ensure(database, admin, app, twin_of(app, "another-Password.of~32-characters"), "2" * 36)


def test_an_administrator_without_the_rights_changes_nothing(database: Database, app: Credential) -> None:
    admin = database.user(f"weak-{app.username}", "admin-password")
    before = database.roles()
    with pytest.raises(TargetPermissionError, match="RENAME TO"):
        ensure(database, admin, app, twin_of(app))
    assert database.roles() == before


def test_an_object_that_a_login_owns_stops_the_rotation_whole(database: Database, app: Credential) -> None:
    twin, admin = twin_of(app), database.admin_of(app.username)
    ensure(database, admin, app, twin)
    with database.connect(app) as session:
        session.execute("SET ROLE NONE")
        session.execute(sql.SQL("CREATE TABLE {}.mine ()").format(sql.Identifier(app.username)))
    before = database.roles()
    with pytest.raises(PostConditionError, match="owns 1 object"):
        ensure(database, admin, app, twin_of(app, "another-Password.of~32-characters"), "2" * 36)
    with pytest.raises(PostConditionError, match="owns 1 object"):
        database.target.compare(twin, app.username, deadline=soon())
    assert database.roles() == before


def test_a_twin_that_somebody_dropped_is_made_again(database: Database, app: Credential) -> None:
    twin, admin = twin_of(app), database.admin_of(app.username)
    ensure(database, admin, app, twin)
    wanted = database.target.login(twin, deadline=soon())
    database.run("DROP ROLE {}", twin.username)
    ensure(database, admin, app, twin, "2" * 36)
    assert database.target.login(twin, deadline=soon()) == wanted


@pytest.mark.parametrize("taken", ["_owner", "_clone"])
def test_a_name_that_belongs_to_somebody_else_is_not_taken_over(
    database: Database, app: Credential, taken: str
) -> None:
    database.user(app.username + taken)
    admin = database.admin_of(app.username, app.username + taken)
    before = database.roles()
    with pytest.raises(PostConditionError, match=taken):
        ensure(database, admin, app, twin_of(app))
    assert database.roles() == before


def test_an_owner_role_that_can_log_in_is_refused(database: Database, app: Credential) -> None:
    twin, admin = twin_of(app), database.admin_of(app.username)
    ensure(database, admin, app, twin)
    database.run("ALTER ROLE {} LOGIN", f"{app.username}_owner")
    with pytest.raises(PostConditionError, match="can log in"):
        ensure(database, admin, app, twin, "2" * 36)


def test_a_superuser_and_the_administrator_itself_do_not_alternate(database: Database, app: Credential) -> None:
    admin = database.admin_of(app.username)
    with pytest.raises(PostConditionError, match="single-user"):
        ensure(database, admin, admin, twin_of(admin))
    root = database.user(f"root-{app.username}", "root-password", "SUPERUSER")
    server_admin = database.credential(database.server.superuser, database.server.password)
    with pytest.raises(PostConditionError, match="single-user"):
        ensure(database, server_admin, root, twin_of(root))


def test_a_user_that_does_not_exist_is_named_as_such(database: Database, app: Credential) -> None:
    gone = replace(app, username="never-existed")
    with pytest.raises(PostConditionError, match="does not exist"):
        ensure(database, database.admin_of(app.username), gone, twin_of(gone))
    with pytest.raises(PostConditionError, match="does not exist"):
        database.target.compare(app, "never-existed", deadline=soon())


def test_the_owner_role_may_have_a_name_of_the_secrets_choosing(database: Database, app: Credential) -> None:
    current = replace(app, owner_role=f"team-{app.username}")
    ensure(database, database.admin_of(app.username), current, twin_of(app))
    assert database.target.login(twin_of(app), deadline=soon()).acts_as == f"team-{app.username}"


def test_two_at_once_make_one_pair(database: Database, app: Credential) -> None:
    admin, twin = database.admin_of(app.username), twin_of(app)
    start = threading.Barrier(4)

    def one() -> None:
        start.wait()
        ensure(database, admin, app, twin)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(one) for _ in range(4)]:
            done.result()
    pending, reference = database.target.compare(twin, app.username, deadline=soon())
    assert pending.privileges == reference.privileges
