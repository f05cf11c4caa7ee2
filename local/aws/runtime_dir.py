"""`python -m local.aws.runtime_dir`: install the Lambda runtime client where functions, and only they, find it.

AWS's own image holds awslambdaric beside boto3. Ours holds awslambdaric alone: boto3 comes from the function's
layers, so that what a layer forgets is missed here too.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from local.aws.settings import PROJECT, SettingsError, settings

REQUIREMENTS = PROJECT / "requirements" / "lambda-runtime.txt"


class RuntimeDirError(Exception):
    """pip refused; the message is the end of what it said."""


def build(directory: Path, requirements: Path = REQUIREMENTS) -> bool:
    """Install the pinned, hash-checked wheels; False when the directory already holds exactly these."""
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = directory / ".requirements.sha256"
    if stamp.exists() and stamp.read_text() == digest:
        return False
    shutil.rmtree(directory, ignore_errors=True)
    done = subprocess.run(  # noqa: S603 - pip of this interpreter, no shell
        [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"),
            *("--target", str(directory), "--require-hashes", "--no-deps", "--only-binary", ":all:"),
            *("--implementation", "cp", "--python-version", "3.13", "--requirement", str(requirements)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeDirError("\n".join(done.stderr.strip().splitlines()[-5:]))
    stamp.write_text(digest)
    return True


if __name__ == "__main__":
    try:
        target = settings().runtime_dir
        print(f"{target}: {'built' if build(target) else 'up to date'}")
    except (RuntimeDirError, SettingsError) as error:
        sys.exit(f"local.aws.runtime_dir: {error}")
