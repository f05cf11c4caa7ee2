"""An application that knows nothing of Polyvault: reads its secret with plain boto3, logs in, every 50 ms.

    python -m local.demo.client --secret NAME --counts FILE

Runs until its standard input closes or it is told to end, then writes its counts. What it is for: a rotation without
downtime is one that this program does not notice.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from collections import Counter
from pathlib import Path
from types import FrameType

import boto3
import psycopg

INTERVAL_SECONDS = 0.05
WRITE_EVERY_SECONDS = 0.5


class Client:
    """Counts its logins, its failures by class, and the users that it logged in as."""

    def __init__(self, secret: str, counts: Path) -> None:
        self._secret = secret
        self._counts_path = counts
        self._secrets_manager = boto3.client("secretsmanager")
        self.logins = 0
        self.failures: Counter[str] = Counter()
        self.versions: set[str] = set()
        self.users: set[str] = set()
        self.running = True

    def stop(self, _signal: int, _frame: FrameType | None) -> None:
        """End after the login in progress."""
        self.running = False

    def login_once(self) -> None:
        """One read of the secret and one login; a failure is counted by its class, never printed."""
        try:
            answer = self._secrets_manager.get_secret_value(SecretId=self._secret)
            secret = json.loads(answer["SecretString"])
            with psycopg.connect(
                host=secret["host"],
                port=secret["port"],
                user=secret["username"],
                password=secret["password"],
                dbname=secret["dbname"],
                sslmode="verify-full",
                sslrootcert=os.environ["PGSSLROOTCERT"],  # noqa: TID251 - as `make env` exports it
                connect_timeout=3,
            ) as connection:
                connection.execute("INSERT INTO visits DEFAULT VALUES")
        except Exception as error:  # noqa: BLE001 - the count of failures is this program's purpose
            self.failures[type(error).__name__] += 1
            return
        self.logins += 1
        self.versions.add(answer["VersionId"])
        self.users.add(secret["username"])

    def write_counts(self) -> None:
        """Replace the counts file at once, so that a reader never sees half of it."""
        temporary = self._counts_path.with_suffix(".tmp")
        temporary.write_text(
            json.dumps(
                {
                    "logins": self.logins,
                    "failed_logins": self.failures.total(),
                    "failures": dict(self.failures),
                    "versions_seen": len(self.versions),
                    "users_seen": sorted(self.users),
                }
            )
        )
        temporary.replace(self._counts_path)

    def run(self) -> None:
        """Log in every 50 ms until stopped."""
        next_write = 0.0
        while self.running:
            started = time.monotonic()
            self.login_once()
            if started >= next_write:
                self.write_counts()
                next_write = started + WRITE_EVERY_SECONDS
            time.sleep(max(0.0, INTERVAL_SECONDS - (time.monotonic() - started)))
        self.write_counts()


def main() -> None:
    """Parse the two arguments and run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--counts", required=True, type=Path)
    arguments = parser.parse_args()
    client = Client(arguments.secret, arguments.counts)
    signal.signal(signal.SIGTERM, client.stop)
    signal.signal(signal.SIGINT, client.stop)
    client.run()


if __name__ == "__main__":
    main()
