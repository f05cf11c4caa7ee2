"""CloudFormation resources that MiniStack refuses or half-makes."""

from __future__ import annotations


def install() -> None:
    """Complete MiniStack's provisioners."""
