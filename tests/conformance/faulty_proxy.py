"""A proxy in front of a real peer that spoils answers on their way back."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from local.certificates import Leaf


@dataclass(frozen=True)
class Answer:
    """What goes back: ``length`` is what the header says, whatever the body is; None sends no such header."""

    status: int
    body: bytes
    length: int | None
    headers: tuple[tuple[str, str], ...] = ()


type Spoil = Callable[[str, Answer], Answer]
"""Takes the request's path and the peer's answer."""


class Proxy:
    """Its ``url`` stands for the peer's. ``spoil`` may change at any time; ``seen`` is what arrived."""

    def __init__(self, upstream: str, ca_file: str | None) -> None:
        self.spoil: Spoil = lambda path, answer: answer
        self.seen: list[tuple[str, dict[str, str]]] = []
        self._upstream = urlsplit(upstream)
        self._ca_file = ca_file
        self.url = ""

    @property
    def requests(self) -> int:
        """How many requests arrived."""
        return len(self.seen)

    def forward(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        self.seen.append((f"{method} {path}", headers))
        place = (str(self._upstream.hostname), self._upstream.port)
        connection: http.client.HTTPConnection
        if self._ca_file:
            context = ssl.create_default_context(cafile=self._ca_file)
            connection = http.client.HTTPSConnection(*place, timeout=10, context=context)
        else:
            connection = http.client.HTTPConnection(*place, timeout=10)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        kept = tuple((name, value) for name, value in response.getheaders() if name.lower() == "content-type")
        return self.spoil(path, Answer(response.status, content, len(content), kept))


@contextmanager
def proxy_for(
    upstream: str, *, ca_file: str | None = None, leaf: Leaf | None = None, host: str = "127.0.0.1"
) -> Iterator[Proxy]:
    """Run a proxy on a loopback address; over TLS when a certificate is given."""
    proxy = Proxy(upstream, ca_file)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            answer = proxy.forward(self.command, self.path, body, headers)
            self.send_response_only(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            if answer.length is not None:
                self.send_header("Content-Length", str(answer.length))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer.body)
            self.close_connection = True

        do_GET = do_POST = do_PUT = do_DELETE = do_LIST = do_PATCH = answer

        def log_message(self, *_: Any) -> None:
            """Quiet: requests carry tokens."""

    server = ThreadingHTTPServer((host, 0), Handler)
    server.daemon_threads = True
    if leaf is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(leaf.certificate_path, leaf.key_path)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    proxy.url = f"http{'s' if leaf else ''}://{host}:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def cut(keep: Callable[[int], int]) -> Spoil:
    """Send only part of each body of a success, while the header promises all of it."""
    return lambda path, answer: (
        Answer(answer.status, answer.body[: keep(len(answer.body))], answer.length, answer.headers)
        if answer.status < 300 and answer.body
        else answer
    )


def replace(status: int, body: bytes, *headers: tuple[str, str]) -> Spoil:
    """Answer this instead."""
    return lambda path, answer: Answer(status, body, len(body), headers)


def spare_logins(spoil: Spoil) -> Spoil:
    """Leave answers about tokens whole."""
    return lambda path, answer: answer if "/auth/" in path else spoil(path, answer)
