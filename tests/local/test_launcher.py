"""The launcher as a process: what it refuses, what it leaves behind, what survives a restart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from local.aws import install
from local.aws.settings import PROJECT
from tests.local.conftest import archive, client, eventually, launch, make_role, stop


def refused(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.aws"],
        cwd=PROJECT,
        env={"PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"POLYVAULT_LOCAL_RUNTIME_DIR": "/nonexistent"}, "no Lambda runtime in /nonexistent"),
        ({"MINISTACK_PYTHONS": "python3.13"}, "MINISTACK_PYTHONS must be JSON"),
        ({"POLYVAULT_LOCAL_ROTATION_ATTEMPTS": "many"}, "POLYVAULT_LOCAL_ROTATION_ATTEMPTS must be a number"),
    ],
)
def test_a_start_that_cannot_work_is_refused_with_one_line(variables: dict[str, str], line: str) -> None:
    done = refused(**variables)
    assert done.returncode == 2
    assert done.stdout == ""
    assert line in done.stderr
    assert done.stderr.count("\n") == 1


def test_another_ministack_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "version", lambda _name: "1.5.34")
    with pytest.raises(install.WrongMiniStackError, match=r"1\.5\.33 is needed, 1\.5\.34 is installed"):
        install.check_version()
    monkeypatch.setattr(install, "version", metadata.version)
    install.check_version()


def deploy_pid(url: str) -> tuple[Any, str]:
    """A secret with a value, and a function that answers with its process id."""
    function = client(url, "lambda").create_function(
        FunctionName="pid",
        Runtime="python3.13",
        Role=make_role(client(url, "iam")),
        Handler="app.handler",
        Code={"ZipFile": archive(app="import os\ndef handler(e, c): return os.getpid()")},
    )
    client(url, "secretsmanager").create_secret(Name="kept", SecretString="value")
    return client(url, "lambda"), str(function["FunctionName"])


def invoke(functions: Any, name: str) -> int:
    return int(json.loads(functions.invoke(FunctionName=name)["Payload"].read()))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"  # a zombie is dead


@pytest.mark.usefixtures("aws_endpoint")  # the runtime directory is built
def test_functions_end_with_the_launcher_and_what_was_deployed_survives_a_restart(tmp_path: Path) -> None:
    state = {"PERSIST_STATE": "1", "STATE_DIR": str(tmp_path / "state")}
    process, url = launch(tmp_path, **state)
    functions, name = deploy_pid(url)
    worker = invoke(functions, name)
    assert alive(worker)
    stop(process)
    assert process.returncode == 0
    eventually(lambda: not alive(worker))
    assert not list(tmp_path.glob("polyvault-lambda-*"))

    process, url = launch(tmp_path, **state)
    try:
        assert client(url, "secretsmanager").get_secret_value(SecretId="kept")["SecretString"] == "value"
        assert invoke(client(url, "lambda"), name) != worker
    finally:
        process.kill()  # the hard way: the function's process finds nobody to ask for work
        process.wait(5)


@pytest.mark.usefixtures("aws_endpoint")
def test_a_launcher_that_is_killed_leaves_no_function_running(tmp_path: Path) -> None:
    process, url = launch(tmp_path)
    worker = invoke(*deploy_pid(url))
    process.kill()
    process.wait(5)
    eventually(lambda: not alive(worker))


@pytest.mark.usefixtures("aws_endpoint")
def test_a_runtime_without_an_interpreter_is_an_error_that_says_so(tmp_path: Path) -> None:
    process, url = launch(tmp_path, MINISTACK_PYTHONS='{"python3.12": "/nonexistent/python"}')
    try:
        functions, name = deploy_pid(url)
        for runtime, reason in (("python3.11", "MINISTACK_PYTHONS"), ("python3.12", "/nonexistent/python")):
            functions.update_function_configuration(FunctionName=name, Runtime=runtime)
            answer = functions.invoke(FunctionName=name)
            assert answer["FunctionError"] == "Unhandled"
            assert reason in json.loads(answer["Payload"].read())["errorMessage"]
    finally:
        stop(process)
