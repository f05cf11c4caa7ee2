"""Rotations by themselves: what the schedule wants now, and what a restart interrupted."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
import uuid
from datetime import UTC, datetime

from ministack.core.responses import _request_account_id, _request_region
from ministack.services import secretsmanager as service

from local.aws import rotation_engine
from local.aws.rotation_facts import next_window
from local.aws.secret_versions import add_pending, unfinished
from local.aws.strict_answers import Secret

log = logging.getLogger("rotation.clock")

TICK_SECONDS = 1.0


def tick() -> None:
    """Start what is due: late once, and once only however many windows were missed."""
    for (account, region, _), secret in list(service._secrets.all_items()):
        if secret.get("RotationEnabled") and not secret.get("DeletedDate") and not service._is_replica(secret):
            contextvars.copy_context().run(_consider, account, region, secret)


def _consider(account: str, region: str, secret: Secret) -> None:
    _request_account_id.set(account)
    _request_region.set(region)
    with rotation_engine.start_lock:
        if rotation_engine.is_running(secret):
            return
        if token := secret.get("_RotationToken"):
            log.info("rotation of %s: taken up again", secret["Name"])
            rotation_engine.start(secret, token)
            return
        window = next_window(secret)
        if not window or datetime.now(UTC) < window.start:
            return
        token = unfinished(secret)
        if token is None:
            token = str(uuid.uuid4())
            add_pending(secret, token)
        log.info("rotation of %s: due since %s", secret["Name"], window.start.isoformat())
        rotation_engine.start(secret, token)


def _run() -> None:
    while True:
        time.sleep(TICK_SECONDS)
        try:
            tick()
        except Exception:  # one bad secret must not stop the clock
            log.exception("tick")


def install() -> None:
    """Watch the schedules until the process ends."""
    threading.Thread(target=_run, daemon=True, name="rotation-clock").start()
