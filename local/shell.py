"""What a developer's shell needs to talk to the local cloud: variables, and programs on PATH."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import singledispatch
from pathlib import Path

from local import openbao, postgresql, valkey
from local.aws_process import Aws
from local.openbao import OpenBao
from local.postgresql import PostgreSQL
from local.processes import HOST, LocalCloudError
from local.valkey import Valkey

REGION = "us-east-1"
# Each would win over, or be mixed with, the exported credentials.
UNSET = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "VAULT_TOKEN", "VAULT_NAMESPACE", "PGSERVICE", "PGHOSTADDR")


@singledispatch
def exports(peer: object) -> dict[str, str]:
    """The variables that clients of a peer read. They hold passwords."""
    raise TypeError(f"{type(peer).__name__} is no peer of the local cloud")


@exports.register
def _(peer: Aws) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": peer.endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
    }


@exports.register
def _(peer: OpenBao) -> dict[str, str]:
    return {
        "VAULT_ADDR": peer.url,
        "VAULT_CACERT": str(peer.ca_path),
        "BAO_ADDR": peer.url,
        "BAO_CACERT": str(peer.ca_path),
        "VAULT_ROLE_ID": peer.role_id,
        "VAULT_SECRET_ID": peer.secret_id,
    }


@exports.register
def _(peer: PostgreSQL) -> dict[str, str]:
    return {
        "PGHOST": peer.host,
        "PGPORT": str(peer.port),
        "PGUSER": peer.superuser,
        "PGPASSWORD": peer.password,
        "PGDATABASE": "postgres",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": str(peer.ca_path),
    }


@exports.register
def _(peer: Valkey) -> dict[str, str]:
    return {"VALKEY_HOST": HOST, "VALKEY_PORT": str(peer.port), "VALKEY_URL": peer.url, "REDISCLI_AUTH": peer.password}


def path(state_dir: Path, current: str) -> str:
    """PATH with the folder of `link_programs` in front; twice is once."""
    ours = str(state_dir / "bin")
    return os.pathsep.join([ours, *(folder for folder in current.split(os.pathsep) if folder != ours)])


def link_programs(state_dir: Path, python: Path | None) -> None:
    """Links to the programs that the peers' packages bring and to the functions' interpreter, for `sam build`."""
    folder = state_dir / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    programs = {python.name: python} if python else {}
    for name, locate in _LOCATE.items():
        try:
            programs[name] = locate()
        except LocalCloudError:
            continue  # the peer itself says so, when it is wanted
    for name, program in programs.items():
        link = folder / name
        link.unlink(missing_ok=True)
        if program.exists():
            link.symlink_to(program)


_LOCATE: dict[str, Callable[[], Path]] = {
    "sam": lambda: Path(__file__).resolve().parent.parent / "build" / "sam-venv" / "bin" / "sam",
    "bao": lambda: Path(openbao.binary_path()),
    "psql": lambda: postgresql.programs_path() / "psql",
    "valkey-cli": lambda: valkey.programs_path() / "valkey-cli",
}
