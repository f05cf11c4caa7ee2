"""The Lambda Runtime API, as one execution environment sees it: next, response, error, init error."""

from __future__ import annotations

import json
import queue
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

VERSION = "/2018-06-01/runtime"


@dataclass(frozen=True, slots=True)
class Invocation:
    """One event for the function; ``deadline_ms`` is epoch milliseconds."""

    request_id: str
    event: bytes
    deadline_ms: int
    function_arn: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the runtime posted: the handler's answer, its error, or the error that kept it from starting."""

    kind: Literal["response", "error", "init-error"]
    request_id: str
    body: bytes


class RuntimeApi:
    """A server on a free loopback port. The runtime polls it; ``offer`` gives it work, ``outcomes`` has the results.

    Use one for each process of the runtime: a process that outlives its environment finds nobody here.
    """

    def __init__(self) -> None:
        self.ready = threading.Event()
        """Set at the first poll: the handler is imported."""
        self.outcomes: queue.Queue[Outcome] = queue.Queue()
        self._pending: queue.Queue[Invocation | None] = queue.Queue()
        self._server = _Server(("127.0.0.1", 0), _handler_for(self))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="runtime-api").start()

    @property
    def address(self) -> str:
        """``host:port``, the form of AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self._server.server_port}"

    def offer(self, invocation: Invocation) -> None:
        """Give the next poll this event."""
        self._pending.put(invocation)

    def next(self) -> Invocation | None:
        """Block until there is an event; None when the environment was closed."""
        self.ready.set()
        return self._pending.get()

    def close(self) -> None:
        """Stop serving; a poll that waits is let go."""
        self._pending.put(None)
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a poll may hang until the process that made it is gone

    def handle_error(self, request: object, client_address: object) -> None:
        """A runtime that was killed in the middle of a request is no news."""


def _handler_for(api: RuntimeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one segment an answer: with Nagle's delay a warm call takes 40 ms
        disable_nagle_algorithm = True

        def log_message(self, *_args: object) -> None:
            """Request lines are noise here."""

        def do_GET(self) -> None:
            if self.path != f"{VERSION}/invocation/next":
                return self._answer(404, b"{}")
            invocation = api.next()
            if invocation is None:
                return self._answer(410, b"{}")
            return self._answer(
                200,
                invocation.event,
                {
                    "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                    "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
                    "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
                    "Lambda-Runtime-Trace-Id": invocation.trace_id,
                },
            )

        def do_POST(self) -> None:
            outcome = _outcome(self.path, self._body())
            if outcome is None:
                return self._answer(404, b"{}")
            api.outcomes.put(outcome)
            return self._answer(202, json.dumps({"status": "OK"}).encode())

        def _body(self) -> bytes:
            if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _outcome(path: str, body: bytes) -> Outcome | None:
    if path == f"{VERSION}/init/error":
        return Outcome("init-error", "", body)
    match path.removeprefix(f"{VERSION}/invocation/").split("/"):
        case [request_id, "response"]:
            return Outcome("response", request_id, body)
        case [request_id, "error"]:
            return Outcome("error", request_id, body)
    return None
