"""What a role may do, read from the catalogs of the database that the session is in.

Rights are counted as a session can use them: a role's own, and those of each role that it is a member of. The words
of `Access.privileges` start with a kind: ``owns``, ``grant``, ``default``, ``member``, ``attribute``, ``setting``,
``elsewhere`` (other databases, where only the existence of rights can be seen), ``policy``, ``acl`` (rare kinds).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from psycopg import sql

from polyvault.domain.rotation import Access
from polyvault.targets.postgresql.session import Session

_MEMBERSHIP_OPTIONS_SINCE = 160_000


@dataclass(frozen=True, slots=True)
class Grant:
    """A privilege that one role was given directly. ``on`` is the server's own quoting of the object."""

    privilege: str
    on: str
    grantable: bool

    @property
    def word(self) -> str:
        return f"grant {self.privilege} ON {self.on}" + (" WITH GRANT OPTION" if self.grantable else "")


@dataclass(frozen=True, slots=True)
class Role:
    """A row of pg_roles with what concerns the login itself. ``settings``: (database or "", name) to value."""

    name: str
    can_login: bool
    superuser: bool
    attributes: frozenset[str]
    connection_limit: int
    valid_until: str | None
    settings: dict[tuple[str, str], str]
    memberships: frozenset[str]

    def acts_as(self, database: str) -> str:
        """Who a new session's ``current_user`` is: the role setting, a database's own before the general one."""
        return self.settings.get((database, "role"), self.settings.get(("", "role"), self.name))


_ROLE = """
SELECT rolcanlogin, rolsuper, rolconnlimit, rolvaliduntil::text,
       array_remove(ARRAY[CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN rolcreatedb THEN 'CREATEDB' END,
                          CASE WHEN rolbypassrls THEN 'BYPASSRLS' END,
                          CASE WHEN rolreplication THEN 'REPLICATION' END], NULL),
       ARRAY(SELECT ARRAY[coalesce(d.datname::text, ''), c.setting]
               FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase
              CROSS JOIN unnest(s.setconfig) AS c(setting) WHERE s.setrole = r.oid),
       ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
              WHERE m.member = r.oid AND {usable})
  FROM pg_roles r WHERE rolname = %(role)s
"""

_REACHABLE = """
WITH RECURSIVE reachable(oid) AS (
  SELECT oid FROM pg_roles WHERE rolname = %(role)s
  UNION
  SELECT m.roleid FROM pg_auth_members m JOIN reachable r ON r.oid = m.member WHERE {usable}
)
"""

_GRANTS = """
SELECT a.privilege_type || CASE WHEN x.columns IS NULL THEN '' ELSE ' (' || x.columns || ')' END,
       x.kind || ' ' || x.object, bool_or(a.is_grantable)
  FROM (
    SELECT 'DATABASE' AS kind, quote_ident(datname) AS object, NULL AS columns, datacl AS acl
      FROM pg_database WHERE datname = current_database()
    UNION ALL
    SELECT 'SCHEMA', quote_ident(nspname), NULL, nspacl FROM pg_namespace
    UNION ALL
    SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
           format('%%I.%%I', n.nspname, c.relname), NULL, c.relacl
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    UNION ALL
    SELECT 'TABLE', format('%%I.%%I', n.nspname, c.relname), quote_ident(t.attname), t.attacl
      FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT t.attisdropped
    UNION ALL
    SELECT 'ROUTINE', format('%%I.%%I(%%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
           NULL, p.proacl
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    UNION ALL
    SELECT 'TYPE', format('%%I.%%I', n.nspname, t.typname), NULL, t.typacl
      FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    UNION ALL
    SELECT 'LANGUAGE', quote_ident(lanname), NULL, lanacl FROM pg_language
    UNION ALL
    SELECT 'FOREIGN SERVER', quote_ident(srvname), NULL, srvacl FROM pg_foreign_server
    UNION ALL
    SELECT 'FOREIGN DATA WRAPPER', quote_ident(fdwname), NULL, fdwacl FROM pg_foreign_data_wrapper
    UNION ALL
    SELECT 'TABLESPACE', quote_ident(spcname), NULL, spcacl FROM pg_tablespace
  ) x CROSS JOIN LATERAL aclexplode(x.acl) a
 WHERE x.acl IS NOT NULL AND a.grantee IN {grantees}
 GROUP BY 1, 2
"""

# One word a right; those of the login alone (limits, settings) are added by Catalog.access.
_WORDS = """
SELECT 'grant ' || privilege || ' ON ' || object || CASE WHEN grantable THEN ' WITH GRANT OPTION' ELSE '' END
  FROM ({grants}) AS granted(privilege, object, grantable)
UNION ALL
SELECT 'member ' || rolname FROM pg_roles
 WHERE oid IN (SELECT oid FROM reachable) AND rolname <> %(role)s AND rolname <> %(acts_as)s
UNION
SELECT 'attribute ' || a.word
  FROM pg_roles r CROSS JOIN LATERAL (VALUES ('SUPERUSER', r.rolsuper), ('CREATEROLE', r.rolcreaterole),
       ('CREATEDB', r.rolcreatedb), ('BYPASSRLS', r.rolbypassrls)) AS a(word, has)
 WHERE a.has AND r.oid IN (SELECT oid FROM reachable)
UNION ALL
SELECT format('default %%s FOR %%s IN %%s ON %%s%%s', a.privilege_type,
              CASE WHEN d.defaclrole IN (SELECT oid FROM reachable) THEN 'itself' ELSE o.rolname::text END,
              coalesce(n.nspname::text, '*'), d.defaclobjtype,
              CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM pg_default_acl d JOIN pg_roles o ON o.oid = d.defaclrole LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
 CROSS JOIN LATERAL aclexplode(d.defaclacl) a
 WHERE a.grantee IN (SELECT oid FROM reachable)
UNION ALL
SELECT CASE s.deptype WHEN 'o' THEN 'owns' WHEN 'r' THEN 'policy' ELSE 'acl' END || ' '
       || CASE WHEN d.datname <> current_database() THEN format('elsewhere %%I %%s %%s', d.datname, s.classid, s.objid)
               ELSE (SELECT i.type || ' ' || CASE WHEN i.type IN ('default acl', 'user mapping') THEN s.objid::text
                                                  ELSE i.identity END
                       FROM pg_identify_object(s.classid, s.objid, s.objsubid) i) END
  FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid
 WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid IN (SELECT oid FROM reachable)
   AND (s.deptype IN ('o', 'r') OR s.deptype = 'a' AND (d.datname <> current_database() OR s.classid NOT IN
        (SELECT oid FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relname IN
          ('pg_database', 'pg_namespace', 'pg_class', 'pg_attribute', 'pg_proc', 'pg_type', 'pg_language',
           'pg_foreign_server', 'pg_foreign_data_wrapper', 'pg_tablespace', 'pg_default_acl', 'pg_auth_members'))))
"""

_OWNED = sql.SQL("""
SELECT r.rolname::text, count(*)
  FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid
 WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o' AND s.classid <> 'pg_default_acl'::regclass
   AND r.rolname = ANY(%(roles)s)
 GROUP BY 1 ORDER BY 1
""")


class Catalog:
    """Reads roles in one session. Each answer is of that session's database and transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session
        row = session.rows(
            sql.SQL("SELECT current_database()::text, current_setting('server_version_num')::int, pg_is_in_recovery()")
        )[0]
        self.database: str = row[0]
        self.in_recovery: bool = row[2]
        usable = "(m.inherit_option OR m.set_option)" if row[1] >= _MEMBERSHIP_OPTIONS_SINCE else "true"
        self._role = _ROLE.replace("{usable}", usable).encode()
        grants = _GRANTS.replace("{grantees}", "(SELECT oid FROM reachable)")
        words = _REACHABLE.replace("{usable}", usable) + _WORDS.replace("{grants}", grants)
        self._words = words.encode()

    def who(self) -> tuple[str, str]:
        """The session's own login and whose rights it has."""
        login, acting = self._session.rows(sql.SQL("SELECT session_user::text, current_user::text"))[0]
        return login, acting

    def role(self, name: str) -> Role | None:
        """The role, None when there is none of that name."""
        found = self._session.rows(self._role, {"role": name})
        if not found:
            return None
        can_login, superuser, limit, valid_until, attributes, settings, memberships = found[0]
        return Role(
            name=name,
            can_login=can_login,
            superuser=superuser,
            attributes=frozenset(attributes),
            connection_limit=limit,
            valid_until=valid_until,
            settings={(database, text.partition("=")[0]): text.partition("=")[2] for database, text in settings},
            memberships=frozenset(memberships),
        )

    def direct_grants(self, name: str) -> frozenset[Grant]:
        """What the role itself was granted, in the kinds of object that GRANT can name."""
        query = _GRANTS.replace("{grantees}", "(SELECT oid FROM pg_roles WHERE rolname = %(role)s)")
        return frozenset(Grant(*row) for row in self._session.rows(query.encode(), {"role": name}))

    def access(self, role: Role, *, acts_as: str) -> Access:
        """What a session of the role, acting as ``acts_as``, may do."""
        rows = self._session.rows(self._words, {"role": role.name, "acts_as": acts_as})
        return Access(role.name, acts_as, frozenset([*(row[0] for row in rows), *_own_words(role)]))

    def owned(self, *names: str) -> dict[str, int]:
        """How many objects, in all databases, each of the roles owns; roles that own none are absent."""
        return dict(self._session.rows(_OWNED, {"roles": list(names)}))


def _own_words(role: Role) -> Iterable[str]:
    """What PostgreSQL looks up for the login itself, never for a role that it is a member of."""
    yield f"attribute CONNECTION LIMIT {role.connection_limit}"
    yield f"attribute VALID UNTIL {role.valid_until}"
    if "REPLICATION" in role.attributes:
        yield "attribute REPLICATION"
    for (database, key), value in role.settings.items():
        if key != "role":
            yield f"setting {database or '*'} {key}={value}"
