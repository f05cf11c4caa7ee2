"""A layer with the SDK for the functions of these tests: the runtime has none of its own, on purpose."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from pathlib import Path

_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3")
_MODULES = ("six",)
# The service models are most of botocore; functions here call these services.
_SERVICES = ("secretsmanager", "dynamodb", "sts", "sqs", "s3", "lambda")


def archive() -> bytes:
    """The zip of the layer, from the packages that run these tests."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as opened:
        for name in (*_PACKAGES, *_MODULES):
            spec = importlib.util.find_spec(name)
            assert spec is not None
            assert spec.origin is not None
            folder = Path(spec.origin).parent
            files = [folder / f"{name}.py"] if name in _MODULES else sorted(folder.rglob("*"))
            root = folder if name in _MODULES else folder.parent
            for file in files:
                if file.is_file() and _wanted(file.relative_to(root)):
                    opened.write(file, f"python/{file.relative_to(root)}")
    return buffer.getvalue()


def _wanted(path: Path) -> bool:
    if path.suffix == ".pyc" or "__pycache__" in path.parts:
        return False
    in_data = path.parts[:2] == ("botocore", "data") and len(path.parts) > 3
    return not in_data or path.parts[2] in _SERVICES
