"""What a function printed, collected while it runs and handed over whole when a call ends."""

from __future__ import annotations

import os
import select
import threading
from typing import IO

LIMIT_BYTES = 4 * 1024 * 1024


class LogPipe:
    """Reads a process's output without pause, so that the process never blocks on a full pipe."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        assert stream is not None  # noqa: S101 - Popen was told to make a pipe
        self._stream = stream
        self._fd = stream.fileno()
        self._lock = threading.Lock()
        self._buffer = bytearray()
        self._open = True
        threading.Thread(target=self._read_on, daemon=True, name="lambda-log").start()

    def drain(self) -> str:
        """Everything printed so far.

        A runtime writes its log before it posts its result, so after a result this is the whole of the call's log.
        """
        with self._lock:
            while self._open and select.select([self._fd], [], [], 0)[0]:
                self._read()
            text = self._buffer.decode(errors="replace")
            self._buffer.clear()
        # awslambdaric folds the lines of one record with carriage returns: CloudWatch shows them as lines
        return text.replace("\r", "\n").rstrip("\n")

    def _read_on(self) -> None:
        while self._open:
            select.select([self._fd], [], [])
            with self._lock:
                if self._open and select.select([self._fd], [], [], 0)[0]:
                    self._read()

    def _read(self) -> None:
        chunk = os.read(self._fd, 65536)
        if not chunk:
            self._open = False
            self._stream.close()
            return
        self._buffer += chunk
        del self._buffer[:-LIMIT_BYTES]
