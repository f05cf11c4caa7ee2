"""HTML that escapes by itself: text becomes markup only through a template of ours.

A template engine would be one more dependency in the layer of every function; this page needs twenty templates.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from polyvault.domain.audit import printable

_LONGEST = 4000


class Html(str):
    """Markup. Only `fill` and `join` make it; whatever else is text."""

    __slots__ = ()


def fill(template: str, **values: object) -> Html:
    """The template with its ``{names}`` replaced; a value that is not Html is escaped, and no control character stays.

    Templates are constants of this package and quote each attribute.
    """
    return Html(template.format_map({name: _markup(value) for name, value in values.items()}))


def join(parts: Iterable[object], separator: str = "") -> Html:
    """The parts one after the other, each escaped unless it is Html."""
    return Html(separator.join(_markup(part) for part in parts))


def _markup(value: object) -> str:
    return value if isinstance(value, Html) else escape(printable(str(value), limit=_LONGEST), quote=True)
