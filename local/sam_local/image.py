"""The image: a Python 3.13, the shared libraries that it loads, a shell, and the Lambda runtime client.

Nothing is downloaded, no package of the machine's Python comes along, and the places are those of AWS's image:
/var/lang the interpreter, /var/runtime the client, /var/task the function, /opt the layers.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from local.aws_process import RUNTIME_DIR, build_runtime
from local.processes import LocalCloudError, run
from local.sam_local import engine

_ARCHITECTURE = {"x86_64": "x86_64", "aarch64": "arm64"}
_LABEL = "polyvault.stand-in"
_LANG = "/var/lang"
# What SAM's own Dockerfile runs in the image, and what one wants when looking around.
_PROGRAMS = ("sh", "mv", "cp", "rm", "mkdir", "chmod", "cat", "ls", "env")
# What a manylinux wheel may count on without bringing it, but for the graphical ones.
_LIBRARIES = (
    *("libm.so.6", "libdl.so.2", "librt.so.1", "libutil.so.1", "libpthread.so.0", "libresolv.so.2", "libnss_dns.so.2"),
    *("libnss_files.so.2", "libgcc_s.so.1", "libstdc++.so.6", "libatomic.so.1", "libz.so.1", "libexpat.so.1"),
)
_LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip"}
_BOOTSTRAP = f"""\
#!/bin/sh
export PYTHONPATH=/var/task:/opt/python:/var/runtime
cd "${{LAMBDA_TASK_ROOT:-/var/task}}" || exit 1
exec {_LANG}/bin/python3.13 -m awslambdaric "$_HANDLER"
"""


def name() -> str:
    """What SAM asks for on this machine."""
    architecture = _ARCHITECTURE.get(platform.machine())
    if architecture is None:
        raise LocalCloudError(f"there is no Lambda image for {platform.machine()}")
    return f"public.ecr.aws/lambda/python:3.13-{architecture}"


def build(python: Path) -> bool:
    """Make the image from the installation of ``python``; False when it is there already, or is AWS's own."""
    build_runtime()
    stamp = _stamp(python)
    if _is_there(stamp):
        return False
    changes = [
        "ENV LAMBDA_TASK_ROOT=/var/task",
        f"ENV LD_LIBRARY_PATH={_LANG}/lib",
        f"ENV PATH={_LANG}/bin:/usr/bin:/bin",
        "WORKDIR /var/task",
        f"LABEL {_LABEL}={stamp}",
    ]
    arguments = [word for change in changes for word in ("--change", change)]
    client = shutil.which("docker") or "docker"
    with subprocess.Popen(  # noqa: S603 - the client that just answered, no shell
        [client, "import", *arguments, "-", name()],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=engine.environment(),
    ) as importing:
        assert importing.stdin  # noqa: S101 - it is a pipe
        with tarfile.open(fileobj=importing.stdin, mode="w|", format=tarfile.PAX_FORMAT) as tree:
            _fill(tree, python)
        importing.stdin.close()
    if importing.returncode:
        raise LocalCloudError(f"docker import of {name()} failed")
    return True


def _is_there(stamp: str) -> bool:
    """True for our image of the same content, and for any image of this name that is not ours: AWS's is better."""
    try:
        found = engine.docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{_LABEL}"}}}}', name())
    except LocalCloudError:
        return False
    return found.strip() in (stamp, "", "<no value>")


def _stamp(python: Path) -> str:
    parts = [Path(__file__).read_bytes(), str(python).encode(), (RUNTIME_DIR / ".requirements.sha256").read_bytes()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _fill(tree: tarfile.TarFile, python: Path) -> None:
    prefix = python.parent.parent
    programs = [Path(found) for program in _PROGRAMS if (found := shutil.which(program, path="/bin:/usr/bin"))]
    modules = [path for path in (prefix / "lib" / "python3.13" / "lib-dynload").glob("*.so") if "test" not in path.name]
    clients = [path for path in RUNTIME_DIR.rglob("*.so*") if path.is_file()]
    _add_interpreter(tree, prefix)
    tree.add(RUNTIME_DIR, "var/runtime", filter=_without_caches)
    for program in programs:
        tree.add(program.resolve(), f"bin/{program.name}")
    for library in sorted(_libraries([python, *modules, *clients, *programs])):
        if not library.is_relative_to(prefix / "lib" / "python3.13"):
            tree.add(library.resolve(), str(library).lstrip("/"))
    _add_text(tree, "var/runtime/bootstrap", _BOOTSTRAP, 0o755)
    _add_text(tree, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n", 0o644)
    _add_text(tree, "etc/nsswitch.conf", "hosts: files dns\n", 0o644)
    for folder, mode in (("var/task", 0o755), ("opt", 0o755), ("tmp", 0o1777)):
        entry = tarfile.TarInfo(folder)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        tree.addfile(entry)


def _add_interpreter(tree: tarfile.TarFile, prefix: Path) -> None:
    tree.add((prefix / "bin" / "python3.13").resolve(), f"{_LANG}/bin/python3.13".lstrip("/"))
    tree.add(prefix / "lib" / "python3.13", f"{_LANG}/lib/python3.13".lstrip("/"), filter=_standard_library)
    for shared in sorted((prefix / "lib").glob("libpython3*.so*")):
        tree.add(shared, f"{_LANG}/lib/{shared.name}".lstrip("/"))


def _standard_library(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """The standard library alone: the machine's packages would hide what a function forgot to declare."""
    parts = Path(entry.name).parts
    unwanted = _LEFT_OUT.intersection(parts) or any(part.startswith("config-3.13") for part in parts)
    return None if unwanted else _owned_by_root(entry)


def _without_caches(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in Path(entry.name).parts else _owned_by_root(entry)


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def _libraries(files: Iterable[Path]) -> set[Path]:
    """The shared libraries that the files load, with the loader itself, where they are looked for."""
    found: set[Path] = set()
    for file in files:
        found |= set(_loads(file))
    cache = run("ldconfig", [shutil.which("ldconfig", path="/sbin:/usr/sbin") or "ldconfig", "-p"], env=_C_LOCALE)
    for library in _LIBRARIES:
        if match := re.search(rf"^\s*{re.escape(library)} \(libc6,[^)]*\) => (/\S+)$", cache, re.MULTILINE):
            found |= {Path(match[1]), *_loads(Path(match[1]))}
    return found


def _loads(file: Path) -> Iterator[Path]:
    try:
        listed = run("ldd", ["ldd", str(file)], env=_C_LOCALE)
    except LocalCloudError:
        return  # a static program
    for match in re.finditer(r"(?:=> )?(/\S+) \(0x", listed):
        yield Path(match[1])


def _add_text(tree: tarfile.TarFile, path: str, text: str, mode: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(text), mode
    tree.addfile(entry, io.BytesIO(text.encode()))


_C_LOCALE = {"PATH": os.defpath, "LC_ALL": "C"}
