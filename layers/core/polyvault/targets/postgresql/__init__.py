"""PostgreSQL, and what speaks as it does (Amazon RDS, Aurora)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from psycopg import sql

from polyvault.domain.password import PasswordProfile
from polyvault.domain.rotation import Access, Credential, Strategy
from polyvault.errors import InvalidInputError, PostConditionError, TargetUnavailableError
from polyvault.ports import Clock
from polyvault.targets.postgresql import scram
from polyvault.targets.postgresql.catalog import Catalog, Role
from polyvault.targets.postgresql.roles import Login, Twins, check_owns_nothing
from polyvault.targets.postgresql.session import Session, connect_budget, open_session

_LONGEST_NAME = 63
_CLONE = "_clone"
_OWNER = "_owner"


class OpenSession(Protocol):
    """How a session is opened; tests put a gate before it."""

    def __call__(self, credential: Credential, *, ca_file: Path | None, clock: Clock, deadline: float) -> Session: ...


class PostgresqlTarget:
    """Logs in, looks, and sets passwords. Contract: ports.Target, InPlaceTarget and AlternatingTarget.

    ``ca_file`` holds the certificates of the authorities to trust; None means the system's. TLS with a checked
    certificate and host name is used unless the credential says ``ssl: false``.
    """

    engine: ClassVar[str] = "postgres"
    strategies: ClassVar[frozenset[Strategy]] = frozenset({Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS})
    password_profile: ClassVar[PasswordProfile] = PasswordProfile()

    def __init__(
        self,
        *,
        clock: Clock,
        ca_file: Path | None = None,
        open_session: OpenSession = open_session,
        installed_salt: Callable[..., bytes | None] = scram.installed_salt,
    ) -> None:
        self._clock = clock
        self._ca_file = ca_file
        self._open_session = open_session
        self._installed_salt = installed_salt

    def installed_version(self, credential: Credential, version_ids: Sequence[str], *, deadline: float) -> str | None:
        """Which of the versions' passwords the target holds for the user; asks without trying to log in."""
        timeout = connect_budget(deadline - self._clock.monotonic())
        salt = self._installed_salt(credential, ca_file=self._ca_file, timeout=timeout)
        return next((each for each in version_ids if scram.salt_for(each, credential.username) == salt), None)

    def login(self, credential: Credential, *, deadline: float) -> Access:
        """Log in and say who that is and what it may do."""
        session = self._open(credential, deadline)
        try:
            catalog = _writer(session)
            name, acts_as = catalog.who()
            return catalog.access(_role(catalog, name), acts_as=acts_as)
        finally:
            session.close()

    def compare(self, credential: Credential, username: str, *, deadline: float) -> tuple[Access, Access]:
        """Log in, and read in one transaction what this login and the role ``username`` may do.

        Raises PostConditionError if one of them owns objects, which the other then could not change.
        """
        session = self._open(credential, deadline)
        try:
            catalog = _writer(session)
            name, acts_as = catalog.who()
            other = _role(catalog, username)
            check_owns_nothing(catalog, name, username)
            return (
                catalog.access(_role(catalog, name), acts_as=acts_as),
                catalog.access(other, acts_as=other.acts_as(catalog.database)),
            )
        finally:
            session.close()

    def set_password(self, session_as: Credential, new: Credential, *, version_id: str, deadline: float) -> None:
        """Give ``new``'s user its password, in a session of that same user. Twice writes the same bytes."""
        session = self._open(session_as, deadline)
        try:
            _writer(session)
            # A role setting would leave us acting as somebody who may not change this user's password.
            session.run(sql.SQL("SET LOCAL ROLE NONE"), "act as the user itself")
            session.run(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    sql.Identifier(new.username), sql.Literal(scram.verifier(new, version_id))
                ),
                "set the password",
            )
            session.commit()
        finally:
            session.close()

    def next_username(self, username: str) -> str:
        """The other of the pair: ``app`` and ``app_clone``. Raises InvalidInputError when the name is too long."""
        base = username.removesuffix(_CLONE)
        if not base or len((base + _CLONE).encode()) > _LONGEST_NAME:
            raise InvalidInputError("username", f"leaves no room for {_CLONE} in {_LONGEST_NAME} bytes")
        return base if username.endswith(_CLONE) else base + _CLONE

    def ensure_twin(
        self, admin: Credential, current: Credential, new: Credential, *, version_id: str, deadline: float
    ) -> None:
        """Make ``new``'s user the equal of ``current``'s, with its password: all of it, in one transaction, or nothing.

        The first time, ``current``'s user is adopted (see roles.py). Raises PostConditionError where rights cannot be
        made equal and TargetPermissionError where the administrator may not do it. Twice is once.
        """
        session = self._open(admin, deadline)
        try:
            Twins(session, _writer(session)).ensure(
                Login(current.username, session.verifier(current)),
                Login(new.username, scram.verifier(new, version_id)),
                owner=current.owner_role or current.username.removesuffix(_CLONE) + _OWNER,
                admin=admin.username,
            )
            session.commit()
        finally:
            session.close()

    def _open(self, credential: Credential, deadline: float) -> Session:
        return self._open_session(credential, ca_file=self._ca_file, clock=self._clock, deadline=deadline)


def _writer(session: Session) -> Catalog:
    """The catalog, if this server is the one that takes writes: a replica may be behind, and refuses later."""
    catalog = Catalog(session)
    if catalog.in_recovery:
        raise TargetUnavailableError("the target is a replica, not the writer")
    return catalog


def _role(catalog: Catalog, name: str) -> Role:
    role = catalog.role(name)
    if role is None:
        raise PostConditionError("the role of the secret's user does not exist")
    return role
