"""Run the demo: `make demo`. Exit status 0 when each stage showed what it must, else 1 with the stage and the cause."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local import cloud as local_cloud
from local import deployment
from local.demo import scenario
from local.demo.progress import Figures, Progress, StageFailedError
from local.demo.scenario import ScenarioError, Site

OUTPUT = deployment.PROJECT / "build" / "demo"
STATE = deployment.PROJECT / ".local"
ROTATIONS = 3
LEAST_LOGINS = 101

type Say = Callable[[str], None]


@dataclass(slots=True)
class Demo:
    """The stages share the site, the client's process and the versions that the rotations made."""

    cloud: local_cloud.Cloud | None = None
    site: Site | None = None
    client: subprocess.Popen[bytes] | None = None
    versions: list[str] = field(default_factory=list)

    @property
    def deployed(self) -> Site:
        if self.site is None:
            raise ScenarioError("the bundle is not deployed")
        return self.site

    def start_cloud(self, say: Say) -> Figures:
        self.cloud = local_cloud.start(STATE)
        say(f"AWS {self.cloud.aws.endpoint_url}, OpenBao {self.cloud.openbao.url}, PostgreSQL, Valkey")
        return {}

    def deploy(self, say: Say) -> Figures:
        if self.cloud is None:
            raise ScenarioError("the local cloud does not run")
        say("sam build, sam deploy")
        self.site = scenario.deploy_bundle(self.cloud, OUTPUT)
        say(f"stack {self.site.bundle.name}, API {self.site.api_url}")
        return {}

    def attach(self, say: Say) -> Figures:
        scenario.deploy_application(self.deployed)
        say(f"stack {scenario.APPLICATION}: {scenario.SECRET} rotates by schedule")
        return {}

    def health(self, say: Say) -> Figures:
        answer = self.deployed.api.get("/health")
        stores = answer["stores"]
        say(", ".join(f"{store['store']} {store['latencyMs']:.0f} ms" for store in stores))
        if not all(store["healthy"] for store in stores):
            raise ScenarioError(f"unhealthy: {[store['store'] for store in stores if not store['healthy']]}")
        return {"vaults_healthy": len(stores)}

    def start_client(self, say: Say) -> Figures:
        env = {**os.environ, **self.deployed.cloud.env()}  # noqa: TID251 - a developer's shell after `make env`
        OUTPUT.mkdir(parents=True, exist_ok=True)
        log = (OUTPUT / "client.log").open("wb")
        self._counts_path().unlink(missing_ok=True)
        self.client = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "local.demo.client", "--secret", scenario.SECRET, "--counts", self._counts_path()],
            cwd=deployment.PROJECT,
            env=env,
            stdout=log,
            stderr=log,
        )
        log.close()
        logins = scenario.wait_until("the client's first login", lambda: self._counts().get("logins"), seconds=20)
        say(f"logs in every 50 ms ({logins} so far)")
        return {}

    def rotate(self, say: Say) -> Figures:
        durations = []
        for number in range(1, ROTATIONS + 1):
            say(f"rotation {number} of {ROTATIONS}")
            started = time.monotonic()
            self.versions.append(scenario.rotate(self.deployed))
            durations.append(round(time.monotonic() - started, 2))
        say(f"{ROTATIONS} rotations: {', '.join(f'{seconds:.1f} s' for seconds in durations)}")
        return {"rotations": len(set(self.versions)), "rotation_seconds": durations}

    def sync(self, say: Say) -> Figures:
        execution = scenario.sync(self.deployed)
        verified = scenario.verified_in_vault(self.deployed)
        say(f"{execution['secretsSynced']} synced, {execution['secretsFailed']} failed, read back through hvac")
        if not verified or execution["secretsFailed"] or execution["status"] != "SUCCEEDED":
            raise ScenarioError(f"sync ended {execution['status']}, equal in the other vault: {verified}")
        return {"synced": execution["secretsSynced"], "sync_verified_by_hvac": verified}

    def stop_client(self, say: Say) -> Figures:
        scenario.wait_until(
            f"{LEAST_LOGINS} logins", lambda: self._counts().get("logins", 0) >= LEAST_LOGINS, seconds=60
        )
        self.end_client()
        counts = self._counts()
        say(f"{counts['logins']} logins, {counts['failed_logins']} failed, {counts['versions_seen']} versions seen")
        if counts["failed_logins"]:
            raise ScenarioError(f"the client saw failed logins: {counts['failures']}")
        return {"logins": counts["logins"], "failed_logins": counts["failed_logins"], "client": counts}

    def audit(self, say: Say) -> Figures:
        site = self.deployed

        def trail() -> list[dict[str, Any]] | None:
            events = scenario.audit_events(site)
            whole = all(len(scenario.steps_of(events, version)) == 4 for version in self.versions)
            ingested = any(event["source"] != "polyvault" for event in events)
            return events if whole and ingested else None

        events = scenario.wait_until("the audit trail of each rotation", trail, seconds=60)
        steps = [len(scenario.steps_of(events, version)) for version in self.versions]
        own = sum(event["source"] == "polyvault" for event in events)
        say(f"{len(events)} events: {own} of Polyvault, {len(events) - own} of CloudTrail")
        return {"steps_per_rotation": steps, "audit_events": len(events), "audit_events_own": own}

    def report(self, say: Say) -> Figures:
        result = scenario.report(self.deployed, OUTPUT)
        summary = result["summary"]
        say(f"SOC 2: {summary['compliant']} of {summary['totalSecrets']} compliant, coverage {summary['coverage']} %")
        return {"report_path": str(Path(result["html"]).relative_to(deployment.PROJECT)), "report_summary": summary}

    def end_client(self) -> None:
        if self.client and self.client.poll() is None:
            self.client.terminate()
            self.client.wait(timeout=10)

    def _counts_path(self) -> Path:
        return OUTPUT / "client.json"

    def _counts(self) -> dict[str, Any]:
        if self.client and self.client.poll() not in (None, 0):
            raise ScenarioError(f"the client ended with {self.client.returncode}, see {OUTPUT / 'client.log'}")
        if not self._counts_path().exists():
            return {}
        counts: dict[str, Any] = json.loads(self._counts_path().read_text())
        return counts


def main() -> int:
    """Run the stages in order; the cloud stays up for looking around."""
    console = Console()
    console.print("[bold]Polyvault[/]: a database password rotated on a deployed stack, nobody locked out\n")
    started = time.monotonic()
    demo = Demo()
    failure: StageFailedError | None = None
    progress = Progress(console, OUTPUT)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    try:
        with progress:
            progress.run("cloud", "Local cloud", demo.start_cloud)
            progress.run("deploy", "Deploy Polyvault", demo.deploy)
            progress.run("attach", "Attach a secret", demo.attach)
            progress.run("health", "Vaults", demo.health)
            progress.run("client", "Application", demo.start_client)
            progress.run("rotate", "Rotate", demo.rotate)
            progress.run("sync", "Sync to OpenBao", demo.sync)
            progress.run("logins", "Logins", demo.stop_client)
            progress.run("audit", "Audit trail", demo.audit)
            progress.run("report", "SOC 2 report", demo.report)
    except StageFailedError as error:
        failure = error
    finally:
        demo.end_client()
    seconds = time.monotonic() - started
    progress.write_summary(OUTPUT / "summary.json", seconds=seconds, failed=failure)
    if failure:
        console.print(f"\n[red]Failed[/] at: {escape(failure.stage.title)}\n{escape(str(failure.cause))}")
        console.print(f"Logs: {failure.log} and {STATE / 'logs'}. The cloud still runs: make down stops it.")
        return 1
    _show(console, progress.figures, seconds)
    return 0


def _show(console: Console, figures: Figures, seconds: float) -> None:
    table = Table(title=f"Done in {seconds:.0f} s", title_justify="left")
    table.add_column("What")
    table.add_column("Shown", justify="right")
    for name in (
        "rotations", "steps_per_rotation", "logins", "failed_logins", "synced", "audit_events", "report_path",
    ):  # fmt: skip
        table.add_row(name.replace("_", " "), str(figures[name]))
    console.print(table)
    console.print('Look around: [bold]eval "$(make -s env)"[/], then aws, psql or bao. Stop: [bold]make down[/].')


if __name__ == "__main__":
    sys.exit(main())
