"""Two logins that share one owner role: made, levelled and given passwords, in one transaction.

The owner role cannot log in; it owns the objects and holds the grants. Each login is a member of it and acts as it
(``ALTER ROLE login SET role TO owner``), so that what either makes belongs to neither. The first rotation adopts the
user it finds: the role is renamed to the owner's name, which keeps each ownership and grant in every database and each
session that is open, and a login of the old name and the same password takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from polyvault.errors import PostConditionError
from polyvault.targets.postgresql.catalog import Catalog, Grant, Role
from polyvault.targets.postgresql.session import Session
from polyvault.targets.postgresql.settings import setting_value

# What a member may be given or denied by a role that is no superuser.
_SWITCHES = ("CREATEROLE", "CREATEDB", "BYPASSRLS", "REPLICATION")
_NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Login:
    """A login's name and the verifier it is to have."""

    name: str
    verifier: str


class Twins:
    """The pair of logins of one secret, in the administrator's transaction."""

    def __init__(self, session: Session, catalog: Catalog) -> None:
        self._session = session
        self._catalog = catalog

    def ensure(self, current: Login, pending: Login, *, owner: str, admin: str) -> None:
        """Make ``pending`` a login with exactly the rights of ``current`` and with its verifier. Twice is once.

        ``owner`` is the owner role's name if ``current`` has none yet; ``current``'s verifier is used only then.
        Raises PostConditionError where a name is taken or rights cannot be made equal; nothing is kept then.
        """
        self._lock(current.name, pending.name)
        reference = self._existing(current.name)
        owner_role = reference.acts_as(self._catalog.database)
        if owner_role == current.name:
            self._adopt(reference, current, owner=owner, admin=admin)
            owner_role, reference = owner, self._existing(current.name)
        self._check_owner(owner_role, reference)
        self._ensure_login(pending, reference, owner_role)
        self._level(reference, self._existing(pending.name), owner_role)

    def _lock(self, *names: str) -> None:
        # One mutator at a time for a pair, whichever of the two is pending; released with the transaction.
        key = "polyvault " + " ".join(sorted(names))
        self._session.rows(sql.SQL("SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 0))"), {"key": key})

    def _existing(self, name: str) -> Role:
        role = self._catalog.role(name)
        if role is None:
            raise PostConditionError("the role of the secret's user does not exist")
        return role

    def _adopt(self, found: Role, login: Login, *, owner: str, admin: str) -> None:
        if found.superuser or found.name == admin:
            raise PostConditionError("a superuser or the administrator itself cannot alternate: use single-user")
        if self._catalog.role(owner) is not None:
            raise PostConditionError(f"the owner role {owner!r} exists and the secret's user does not act as it")
        self._run("ALTER ROLE {} RENAME TO {}", found.name, owner)
        self._run("ALTER ROLE {} NOLOGIN PASSWORD NULL", owner)
        self._create(login, found, owner)

    def _check_owner(self, owner: str, reference: Role) -> None:
        if owner not in reference.memberships:
            raise PostConditionError(f"the secret's user acts as {owner!r} and is not a member of it")
        if self._existing(owner).can_login:
            raise PostConditionError(f"the owner role {owner!r} can log in")

    def _ensure_login(self, login: Login, reference: Role, owner: str) -> None:
        found = self._catalog.role(login.name)
        if found is None:
            self._create(login, reference, owner)
            return
        if owner not in found.memberships:
            raise PostConditionError(f"the role {login.name!r} exists and is not a member of {owner!r}")
        if found.superuser:
            raise PostConditionError(f"the role {login.name!r} is a superuser")
        self._alter(found, login, reference)

    def _create(self, login: Login, like: Role, owner: str) -> None:
        # INHERIT, because CONNECT on a database is checked for the login itself, before its role setting applies.
        self._session.run(
            sql.SQL("CREATE ROLE {} LOGIN INHERIT {} PASSWORD {}").format(
                sql.Identifier(login.name), _attributes(like, frozenset(), None), sql.Literal(login.verifier)
            ),
            f"create the role {login.name}",
        )
        self._run("GRANT {} TO {}", owner, login.name)
        self._settle(login.name, {}, like.settings | {("", "role"): owner})

    def _alter(self, found: Role, login: Login, reference: Role) -> None:
        self._session.run(
            sql.SQL("ALTER ROLE {} LOGIN {} PASSWORD {}").format(
                sql.Identifier(login.name),
                _attributes(reference, found.attributes, found),
                sql.Literal(login.verifier),
            ),
            f"set the password of {login.name}",
        )
        self._settle(login.name, found.settings, reference.settings)

    def _settle(self, name: str, have: dict[tuple[str, str], str], want: dict[tuple[str, str], str]) -> None:
        """Give the login the session defaults ``want`` and no others."""
        for (database, key), value in want.items():
            if have.get((database, key)) != value:
                self._alter_setting(name, database, key, sql.SQL(" TO ") + setting_value(key, value))
        for database, key in have.keys() - want.keys():
            self._alter_setting(name, database, key, None)

    def _alter_setting(self, name: str, database: str, key: str, value: sql.Composable | None) -> None:
        self._session.run(_setting_statement(name, database, key, value), f"give {name} the setting {key}")

    def _level(self, reference: Role, twin: Role, owner: str) -> None:
        """Grant what the twin lacks and revoke what it has beyond the reference, then look again."""
        self._revoke_extras(reference, twin, owner)
        self._grant_missing(reference, twin, owner)
        check_owns_nothing(self._catalog, reference.name, twin.name)
        check_equal(self._catalog, reference, self._existing(twin.name), owner)

    def _revoke_extras(self, reference: Role, twin: Role, owner: str) -> None:
        allowed = self._catalog.access(reference, acts_as=owner).privileges
        for role in twin.memberships - reference.memberships - {owner}:
            if f"member {role}" not in allowed:
                self._run("REVOKE {} FROM {}", role, twin.name)
        for grant in self._catalog.direct_grants(twin.name):
            if grant.word not in allowed:
                self._session.run(
                    sql.SQL("REVOKE {} FROM {}").format(_on(grant), sql.Identifier(twin.name)),
                    f"revoke {grant.privilege} ON {grant.on} from {twin.name}",
                )

    def _grant_missing(self, reference: Role, twin: Role, owner: str) -> None:
        held = self._catalog.access(twin, acts_as=owner).privileges
        for role in reference.memberships - twin.memberships:
            if f"member {role}" not in held:
                self._run("GRANT {} TO {}", role, twin.name)
        for grant in self._catalog.direct_grants(reference.name):
            if grant.word not in held:
                option = sql.SQL(" WITH GRANT OPTION" if grant.grantable else "")
                self._session.run(
                    sql.SQL("GRANT {} TO {}").format(_on(grant), sql.Identifier(twin.name)) + option,
                    f"grant {grant.privilege} ON {grant.on} to {twin.name}",
                )

    def _run(self, template: str, *names: str) -> None:
        act = template.format(*names)
        self._session.run(_trusted(template).format(*map(sql.Identifier, names)), act)


def check_equal(catalog: Catalog, reference: Role, twin: Role, owner: str) -> None:
    """Raise PostConditionError unless both logins act as ``owner`` with the same rights, in both directions."""
    for role in (reference, twin):
        if role.acts_as(catalog.database) != owner:
            raise PostConditionError(f"{role.name!r} does not act as {owner!r}")
    lost, gained = catalog.access(reference, acts_as=owner).difference(catalog.access(twin, acts_as=owner))
    if lost or gained:
        shown = "; ".join(sorted(lost | gained)[:_NAMES_SHOWN])
        raise PostConditionError(
            f"rights of the two users differ: {len(lost)} missing, {len(gained)} beyond, among them: {shown}"
        )


def check_owns_nothing(catalog: Catalog, *names: str) -> None:
    """Raise PostConditionError if a login owns an object: the other could not change it."""
    if owned := catalog.owned(*names):
        name, count = next(iter(owned.items()))
        raise PostConditionError(f"the login {name!r} owns {count} object(s): reassign them to the owner role")


def _attributes(like: Role, have: frozenset[str], found: Role | None) -> sql.Composed:
    """The attributes that must change, and only those: naming some takes rights that keeping them does not."""
    words: list[sql.Composable] = []
    for switch in _SWITCHES:
        if (switch in like.attributes) != (switch in have):
            words.append(_trusted(switch if switch in like.attributes else f"NO{switch}"))
    if like.connection_limit != (found.connection_limit if found else -1):
        words.append(sql.SQL("CONNECTION LIMIT {}").format(sql.Literal(like.connection_limit)))
    if like.valid_until != (found.valid_until if found else None):
        words.append(sql.SQL("VALID UNTIL {}").format(sql.Literal(like.valid_until or "infinity")))
    return sql.SQL(" ").join(words)


def _setting_statement(name: str, database: str, key: str, value: sql.Composable | None) -> sql.Composed:
    where = sql.SQL(" IN DATABASE {}").format(sql.Identifier(database)) if database else sql.Composed([])
    action = sql.SQL("RESET {}") if value is None else sql.SQL("SET {}")
    # A name with a dot is an extension's own setting, which the grammar wants as two identifiers.
    statement = sql.SQL("ALTER ROLE {}").format(sql.Identifier(name)) + where + sql.SQL(" ")
    statement += action.format(sql.SQL(".").join(map(sql.Identifier, key.split("."))))
    return statement if value is None else statement + value


def _on(grant: Grant) -> sql.SQL:
    """Privilege and object, quoted by the server."""
    return _trusted(f"{grant.privilege} ON {grant.on}")


def _trusted(text: str) -> sql.SQL:
    """SQL composed of our own words and of the server's quoting, never of a name."""
    return sql.SQL(text)
