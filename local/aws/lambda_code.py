"""A function's code and layers on disk, unpacked once each and shared, as read-only as /var/task and /opt are."""

from __future__ import annotations

import atexit
import hashlib
import io
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path

_lock = threading.Lock()
_root: Path | None = None


def unpacked(archives: Sequence[bytes]) -> Path:
    """A directory that holds these zip archives, later ones over earlier ones, as Lambda lays out its layers.

    The same archives give the same directory until the launcher ends, which removes it.
    """
    name = hashlib.sha256(b"".join(hashlib.sha256(archive).digest() for archive in archives)).hexdigest()
    with _lock:
        directory = _root_directory() / name
        if not directory.exists():
            partial = directory.with_suffix(".partial")
            partial.mkdir()
            for archive in archives:
                with zipfile.ZipFile(io.BytesIO(archive)) as opened:
                    opened.extractall(partial)
            partial.rename(directory)
        return directory


def _root_directory() -> Path:
    global _root
    if _root is None or not _root.exists():
        _root = Path(tempfile.mkdtemp(prefix="polyvault-lambda-"))
        atexit.register(shutil.rmtree, _root, ignore_errors=True)
    return _root
