"""`python -m local.aws`: serve emulated AWS on 127.0.0.1:$GATEWAY_PORT until SIGTERM.

Configured by the environment only; see `settings.py` and docs/emulated-aws.md.
"""

from __future__ import annotations

import sys

from local.aws.install import WrongMiniStackError, check_version, install
from local.aws.settings import SettingsError, set_ministack_defaults, settings


def main() -> int:
    """Serve until a signal; 2 and one line on stderr when the start is refused."""
    set_ministack_defaults()
    try:
        check_version()
        runtime_dir = settings().runtime_dir
    except (WrongMiniStackError, SettingsError) as refusal:
        print(f"local.aws: {refusal}", file=sys.stderr)
        return 2
    if not (runtime_dir / "awslambdaric").is_dir():
        print(f"local.aws: no Lambda runtime in {runtime_dir}: run python -m local.aws.runtime_dir", file=sys.stderr)
        return 2
    install()
    from ministack.app import main as serve

    sys.argv = sys.argv[:1]
    serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
