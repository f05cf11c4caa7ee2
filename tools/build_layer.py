"""Build one Lambda layer from its hash-pinned lock: wheels only, bytecode included, the same bytes every time.

`sam build` calls it through layers/Makefile. It uses the standard library and pip alone, so that it runs before
anything of the project is installed.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
LAYERS = ("core", "targets", "hashicorp", "azure", "gcp")
RUNTIME = (3, 13)
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
# Lambda's python3.13 runs on Amazon Linux 2023, glibc 2.34: any wheel for that or an older glibc will do.
PLATFORMS = (*(f"manylinux_2_{minor}" for minor in range(34, 16, -1)), "manylinux2014", "linux")
MOUNT = "/opt/python"  # where Lambda mounts the layer: what bytecode and tracebacks name
MODIFIED = 946_684_800  # 2000-01-01T00:00:00Z: any fixed time after 1980, where zip files begin
# boto3 carries the models of 400 services; these are the ones that the functions call.
AWS_SERVICES = frozenset({"dynamodb", "kms", "lambda", "s3", "secretsmanager", "sns", "sqs", "ssm", "sts"})


class BuildError(Exception):
    """The layer could not be built; the message says which command failed."""


def build(layer: str, destination: Path, architecture: str, *, kept: Path | None = None) -> None:
    """Fill ``destination/python`` with the layer's distributions and, for core, with the package polyvault.

    Installed distributions are kept in ``kept`` (build/layers) and used again while the lock stays as it is.
    """
    if sys.version_info[:2] != RUNTIME:
        raise BuildError(f"the layers are for Python {RUNTIME[0]}.{RUNTIME[1]}, this is {sys.version.split()[0]}")
    root = destination / "python"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(_dependencies(layer, architecture, kept or PROJECT / "build/layers"), root)
    if layer == "core":
        package = PROJECT / "layers/core/polyvault"
        shutil.copytree(package, root / "polyvault", ignore=shutil.ignore_patterns("__pycache__"))
        compile_tree(root / "polyvault", root)
    _freeze(root)


def archive(directory: Path, target: Path) -> str:
    """Zip a built layer so that equal content gives equal bytes; answers the zip's SHA-256."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as out:
        for path in _files(directory):
            entry = zipfile.ZipInfo(path.relative_to(directory).as_posix(), date_time=(2000, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(entry, path.read_bytes())
    return hashlib.sha256(target.read_bytes()).hexdigest()


def compile_tree(tree: Path, root: Path) -> None:
    """Write the bytecode of each module of ``tree`` as it will be found under MOUNT.

    Unchecked hashes, because the zip's times never agree with the file system's and a checked file would be compiled
    again at each cold start. One process and one hash seed: the order of work must not show in the bytes.
    """
    _run(
        [
            *(sys.executable, "-m", "compileall", "-q", "-f", "-j", "1", "--invalidation-mode", "unchecked-hash"),
            *("-s", str(root), "-p", MOUNT, str(tree)),
        ],
        PYTHONHASHSEED="0",
    )


def _dependencies(layer: str, architecture: str, shelf: Path) -> Path:
    """The layer's distributions, trimmed and compiled, on the shelf under the digest of all that makes them."""
    lock = PROJECT / "layers" / layer / "requirements.txt"
    recipe = [lock.read_bytes(), Path(__file__).read_bytes(), architecture.encode(), sys.version.encode()]
    digest = hashlib.sha256(b"\0".join(recipe)).hexdigest()[:16]
    kept = shelf / f"{layer}-{architecture}-{digest}"
    if kept.is_dir():
        return kept
    shelf.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=shelf) as scratch:
        root = Path(scratch, "python")
        _install(lock, root, MACHINES[architecture])
        _trim(root)
        compile_tree(root, root)
        try:
            root.rename(kept)
        except OSError:
            if not kept.is_dir():  # another build was first: the same bytes
                raise
    return kept


def _install(lock: Path, root: Path, machine: str) -> None:
    platforms = [f"--platform={platform}_{machine}" for platform in PLATFORMS]
    _run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"),
            *("--no-compile", "--no-deps", "--require-hashes", "--only-binary=:all:", "--implementation=cp"),
            *(f"--python-version={RUNTIME[0]}.{RUNTIME[1]}", *platforms, f"--target={root}", f"--requirement={lock}"),
        ]
    )


def _trim(root: Path) -> None:
    """Take out what no function reads, and what differs from machine to machine."""
    shutil.rmtree(root / "bin", ignore_errors=True)  # console scripts: they name the builder's interpreter
    for pattern in ("*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED"):
        for path in root.glob(pattern):
            path.unlink()  # RECORD lists files that are gone by now; the metadata itself stays
    for tests in [path for path in root.rglob("tests") if path.is_dir()]:
        shutil.rmtree(tests)
    shutil.rmtree(root / "boto3/examples", ignore_errors=True)
    for data in (root / "botocore/data", root / "boto3/data"):
        for model in [path for path in data.glob("*") if path.is_dir() and path.name not in AWS_SERVICES]:
            shutil.rmtree(model)
        for path in data.glob("*/*/*"):
            _slim_model(path)
    endpoints = root / "botocore/data/endpoints.json"
    if endpoints.exists():
        _slim_endpoints(endpoints)


def _slim_model(path: Path) -> None:
    """Leave out a service model's prose, which clients parse at each start and never read."""
    if path.name.startswith("examples-"):
        path.unlink()
        return
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    slim = json.dumps(_without_prose(json.loads(text)), separators=(",", ":"))
    path.unlink()
    path.with_name(path.name.removesuffix(".gz")).write_text(slim)


def _without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        # The key stays: botocore's own changes to S3's model append to it. And a member may have that name.
        return {
            key: "" if key == "documentation" and isinstance(each, str) else _without_prose(each)
            for key, each in value.items()
        }
    return [_without_prose(each) for each in value] if isinstance(value, list) else value


def _slim_endpoints(path: Path) -> None:
    """Leave out the addresses of services that are not called."""
    document = json.loads(path.read_text())
    for partition in document["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in services if name in AWS_SERVICES}
    path.write_text(json.dumps(document, separators=(",", ":")))


def _freeze(root: Path) -> None:
    """Same times and modes whoever builds."""
    for path in sorted(root.rglob("*"), reverse=True):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (MODIFIED, MODIFIED))


def _files(directory: Path) -> Iterator[Path]:
    return iter(sorted(path for path in directory.rglob("*") if path.is_file()))


def _run(command: list[str], **variables: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own commands, no shell
        command,
        env={**os.environ, **variables},  # noqa: TID251 - the builder's own environment: PATH and pip's settings
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise BuildError(f"{' '.join(command[1:4])} failed:\n{tail}")


def main() -> int:
    """Command line: LAYER DESTINATION [--architecture A] [--zip FILE]."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("layer", choices=LAYERS)
    parser.add_argument("destination", type=Path)
    parser.add_argument("--architecture", choices=sorted(MACHINES), default="x86_64")
    parser.add_argument("--zip", type=Path, help="also write the reproducible zip and print its SHA-256")
    arguments = parser.parse_args()
    try:
        build(arguments.layer, arguments.destination, arguments.architecture)
    except BuildError as error:
        print(f"layer {arguments.layer}: {error}", file=sys.stderr)
        return 1
    if arguments.zip:
        print(f"{archive(arguments.destination, arguments.zip)}  {arguments.zip.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
