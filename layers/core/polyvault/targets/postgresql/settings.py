"""The value of a role's session default, as SQL that cannot be anything else than a value."""

from __future__ import annotations

import re

from psycopg import sql

# The server keeps these as a list of quoted names; written back as one literal they would become one name.
_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)
_ITEM = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",\s]+))\s*(?:,|$)')


def setting_value(key: str, value: str) -> sql.Composable:
    """One literal, or for a list one literal for each of its names."""
    if key.lower() not in _LISTS:
        return sql.Literal(value)
    return sql.SQL(", ").join(map(sql.Literal, list_items(value) or [""]))


def list_items(value: str) -> list[str]:
    """The names of a list of identifiers: quoted ones as they are, others folded to lower case."""
    return [quoted.replace('""', '"') if quoted or not bare else bare.lower() for quoted, bare in _ITEM.findall(value)]
