"""Functions in containers, run by the real `sam local` against a deployed stack's resources in the local cloud."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.cloud import Cloud
from local.demo.scenario import Site
from local.deployment import PROJECT, REGION, sam_command
from local.processes import port_for, spawn, wait_until_ready
from local.sam_local import engine

BUILT = PROJECT / ".aws-sam" / "build"
_COPIED = 65536


def function_of(folder: str) -> str:
    """The logical id of the function in functions/<folder>."""
    return "".join(word.capitalize() for word in folder.split("_")) + "Function"


def clean_environment(cloud: Cloud) -> dict[str, str]:
    """The variables for `sam`: the engine's and the local cloud's, with no endpoint, which is the container's own."""
    names = {"PATH", "HOME", "DOCKER_HOST", "TMPDIR"}
    inherited = {name: value for name, value in engine.environment().items() if name in names}
    ours = {name: value for name, value in cloud.env().items() if name != "AWS_ENDPOINT_URL"}
    return inherited | ours


@dataclass(frozen=True, slots=True)
class Bench:
    """What a run of `sam local` needs: the built template with an endpoint, and each function's real variables."""

    template: Path
    variables: Path
    env: Mapping[str, str]

    def command(self, verb: str, *arguments: str) -> list[str]:
        return [
            *sam_command(self.env),
            *("local", verb, *arguments, "--template", str(self.template), "--env-vars", str(self.variables)),
            *("--skip-pull-image", "--region", REGION, "--parameter-overrides", "EnableHashicorp=true"),
        ]

    def invoke(self, function: str, event: Path) -> Any:
        """`sam local invoke`: the document that the function answers, or its error."""
        done = subprocess.run(
            self.command("invoke", function, "--event", str(event)),
            cwd=PROJECT,
            env=dict(self.env),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        lines = done.stdout.strip().splitlines()
        assert lines, done.stderr[-3000:]
        return json.loads(lines[-1])

    @contextlib.contextmanager
    def serve(self, verb: str, log: Path, *arguments: str) -> Iterator[str]:
        """`sam local start-lambda` or `start-api` while the block runs; answers its URL."""
        port = port_for("sam local", None)
        command = self.command(verb, *arguments, "--host", "127.0.0.1", "--port", str(port))
        process = spawn(f"sam local {verb}", command, log=log, env=self.env, cwd=PROJECT)
        try:
            wait_until_ready(process, lambda: socket.create_connection(("127.0.0.1", port), 2).close(), seconds=180)
            yield f"http://127.0.0.1:{port}"
        except BaseException as exc:
            exc.add_note(f"sam local {verb} said:\n{log.read_text(errors='replace')[-3000:]}")
            raise
        finally:
            process.stop(seconds=30)


def prepare(site: Site, folder: Path, endpoint: str) -> Bench:
    """Write the template and the variables: names of the deployed resources, and AWS at ``endpoint``."""
    bundle = folder / "bundle"
    shutil.copytree(BUILT, bundle)  # a build that somebody starts meanwhile takes the folder away
    template = (bundle / "template.yaml").read_text()
    # SAM gives a value to those variables alone that the template names.
    template, named = re.subn(
        r"^( +)(POLYVAULT_ENVIRONMENT:)", r"\1AWS_ENDPOINT_URL: ''\n\1\2", template, count=1, flags=re.MULTILINE
    )
    assert named == 1
    variables = {name: values | {"AWS_ENDPOINT_URL": endpoint} for name, values in _deployed_variables(site).items()}
    (bundle / "template.yaml").write_text(template)
    (folder / "variables.json").write_text(json.dumps(variables))
    return Bench(bundle / "template.yaml", folder / "variables.json", clean_environment(site.cloud))


def _deployed_variables(site: Site) -> dict[str, dict[str, str]]:
    resources = site.aws("cloudformation").describe_stack_resources(StackName=site.bundle.name)["StackResources"]
    functions = [found for found in resources if found["ResourceType"] == "AWS::Lambda::Function"]
    configured = site.aws("lambda").get_function_configuration
    return {
        found["LogicalResourceId"]: configured(FunctionName=found["PhysicalResourceId"])["Environment"]["Variables"]
        for found in functions
    }


@contextlib.contextmanager
def reachable_from_containers(port: int) -> Iterator[str]:
    """The address at which containers, and this machine alone, reach a port of the loopback address."""
    gateway = engine.docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").strip()
    with socket.create_server((gateway, 0)) as server:
        threading.Thread(target=_accept, args=(server, port), daemon=True).start()
        yield f"{gateway}:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def _accept(server: socket.socket, port: int) -> None:
    while True:
        try:
            inside, _ = server.accept()
        except OSError:
            return  # the block has ended
        threading.Thread(target=_relay, args=(inside, port), daemon=True).start()


def _relay(inside: socket.socket, port: int) -> None:
    with inside, socket.create_connection(("127.0.0.1", port)) as outside:
        back = threading.Thread(target=_copy, args=(outside, inside), daemon=True)
        back.start()
        _copy(inside, outside)
        back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):  # one side went away: so does the other
        while chunk := source.recv(_COPIED):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
