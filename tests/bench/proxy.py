"""A proxy that delays each request and counts it, built to cost the client as little CPU as it can.

``python -m tests.bench.proxy --upstream http://127.0.0.1:9000 --port 9001 --latency-ms 30``

A request is held back once, when its head has arrived, and then passed on as bytes: bodies and answers are not
looked into, apart from the length of a body and the status of an answer. So one core passes some thousands of
requests per second, and what a benchmark behind it measures is the client.

``GET /__bench__/counts`` answers what has passed since the last ``GET /__bench__/reset``;
``GET /__bench__/latency?ms=10`` changes the delay.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

CONTROL = b"/__bench__/"
#: Bytes that may wait for the other side before reading stops.
HIGH_WATER = 1 << 20


class Counts:
    """What has passed: requests by kind, answers by status class, bytes of request bodies and of everything."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.body_bytes = 0
        self.bytes_sent = 0
        self.bytes_received = 0
        self.connections = 0

    def as_json(self) -> bytes:
        return json.dumps(
            {
                "kinds": dict(sorted(self.kinds.items())),
                "statuses": dict(sorted(self.statuses.items())),
                "requests": sum(self.kinds.values()),
                "body_bytes": self.body_bytes,
                "bytes_sent": self.bytes_sent,
                "bytes_received": self.bytes_received,
                "connections": self.connections,
            }
        ).encode()


class Wire:
    """The state that all connections of the proxy share."""

    def __init__(self, host: str, port: int, latency: float) -> None:
        self.host, self.port, self.latency = host, port, latency
        self.counts = Counts()

    def control(self, target: str) -> bytes:
        """Answer a request for the proxy itself."""
        url = urlsplit(target)
        answer = self.counts.as_json()
        if url.path.endswith("/reset"):
            self.counts = Counts()
        elif url.path.endswith("/latency"):
            self.latency = float(parse_qs(url.query)["ms"][0]) / 1000
        return answer


def kind_of(method: str, target: str, has_copy_source: bool) -> str:
    """Return what a request does, in S3's terms: PUT, COPY, GET, HEAD, DELETE, LIST, BUCKET or MULTIPART."""
    path, _, query = target.partition("?")
    # Path-style addressing: /bucket or /bucket/ is the bucket itself, /bucket/key an object.
    is_bucket = "/" not in path.strip("/")
    keys = {part.partition("=")[0] for part in query.split("&")} if query else set()
    if "uploads" in keys or "uploadId" in keys:
        return "MULTIPART"
    if is_bucket:
        if method == "GET" and not keys & {"location", "versioning", "acl", "policy"}:
            return "LIST"
        return "DELETE" if method == "POST" and "delete" in keys else "BUCKET"
    return "COPY" if method == "PUT" and has_copy_source else method


class Upstream(asyncio.Protocol):
    """The connection to the server; what it says goes to the client as it comes."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(HIGH_WATER)
        self.client.upstream_ready()

    def data_received(self, data: bytes) -> None:
        counts = self.client.wire.counts
        counts.bytes_received += len(data)
        # An answer's head starts a packet, since a connection carries one request at a time.
        if data.startswith(b"HTTP/1.1 ") and data[9:10] != b"1":
            counts.statuses[data[9:12].decode()] += 1
        self.client.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.client.transport.close()

    def pause_writing(self) -> None:
        self.client.transport.pause_reading()

    def resume_writing(self) -> None:
        self.client.transport.resume_reading()


class Client(asyncio.Protocol):
    """The connection from a client; cuts its stream into requests and holds each back for the latency."""

    transport: asyncio.Transport

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.loop = asyncio.get_running_loop()
        self.upstream = Upstream(self)
        self.head = b""
        self.body_left = 0
        self.is_chunked = False
        self.tail = b""
        self.is_held = False
        self.held: deque[bytes] = deque()
        self.is_closed = False
        self.owes_continue = False
        self.connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio.Transport.
        self.transport = cast(asyncio.Transport, transport)

    def connect(self) -> None:
        """Open the connection to the server with the first request that is meant for it."""
        if self.connecting is None:
            self.wire.counts.connections += 1
            self.connecting = self.loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await self.loop.create_connection(lambda: self.upstream, self.wire.host, self.wire.port)
        except OSError:
            self.transport.close()

    def upstream_ready(self) -> None:
        if self.is_closed:
            self.upstream.transport.close()  # type: ignore[union-attr]
        elif not self.is_held:
            self.release()

    def data_received(self, data: bytes) -> None:
        while data:
            if self.is_chunked:
                data = self.pass_chunked(data)
            elif self.body_left:
                part, data = data[: self.body_left], data[self.body_left :]
                self.body_left -= len(part)
                self.wire.counts.body_bytes += len(part)
                self.send(part)
            else:
                data = self.take_head(data)

    def take_head(self, data: bytes) -> bytes:
        """Collect a request's head; once whole, count it and start its delay. Returns what follows it."""
        self.head += data
        end = self.head.find(b"\r\n\r\n")
        if end < 0:
            return b""
        head, rest, self.head = self.head[: end + 4], self.head[end + 4 :], b""
        method, target, _ = head[: head.index(b"\r\n")].decode("latin-1").split(" ", 2)
        if target.startswith("http://"):
            target = target[target.index("/", 7) :]
        if target.encode("latin-1").startswith(CONTROL):
            answer = self.wire.control(target)
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
            return rest
        lower = head.lower()
        self.wire.counts.kinds[kind_of(method, target, b"\r\nx-amz-copy-source:" in lower)] += 1
        at = lower.find(b"\r\ncontent-length:")
        self.body_left = int(lower[at + 17 : lower.index(b"\r\n", at + 2)]) if at >= 0 else 0
        self.is_chunked = at < 0 and b"\r\ntransfer-encoding: chunked" in lower
        # S3 answers "100 Continue" before any final answer. Go's server does not where there is no body to ask for, and
        # botocore then waits on the connection until it times out.
        self.owes_continue = at >= 0 and not self.body_left and b"\r\nexpect: 100-continue" in lower
        self.connect()
        self.send_later(head)
        return rest

    def pass_chunked(self, data: bytes) -> bytes:
        """Pass a chunked body on; it ends with an empty chunk, and nothing follows it before the answer."""
        self.wire.counts.body_bytes += len(data)
        self.tail = (self.tail + data)[-1024:]
        if self.tail.endswith(b"\r\n\r\n") and (b"\r\n0\r\n" in self.tail or self.tail.startswith(b"0\r\n")):
            self.is_chunked, self.tail = False, b""
        self.send(data)
        return b""

    def send_later(self, head: bytes) -> None:
        self.held.append(head)
        self.wire.counts.bytes_sent += len(head)
        if self.wire.latency:
            self.is_held = True
            self.loop.call_later(self.wire.latency, self.release)
        elif not self.is_held:
            self.release()

    def send(self, data: bytes) -> None:
        self.wire.counts.bytes_sent += len(data)
        if self.is_held or self.held:
            self.held.append(data)
        else:
            self.upstream.transport.write(data)  # type: ignore[union-attr]

    def release(self) -> None:
        """The delay is over: pass on what has been held back, or wait for the connection to the server."""
        self.is_held = False
        if self.upstream.transport is None or self.is_closed:
            return
        if self.owes_continue:
            self.owes_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.held:
            self.upstream.transport.write(b"".join(self.held))
            self.held.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        if self.upstream.transport is not None:
            self.upstream.transport.close()

    def pause_writing(self) -> None:
        if self.upstream.transport is not None:
            self.upstream.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.upstream.transport is not None:
            self.upstream.transport.resume_reading()


async def serve(port: int, wire: Wire) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Client(wire), "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


def run(task: Coroutine[Any, Any, None]) -> None:
    """Run *task* on uvloop's event loop, or Python's own where that is not installed."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if importlib.util.find_spec("uvloop"):
        factory = importlib.import_module("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(task)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upstream", required=True, help="http://host:port of the server")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency-ms", type=float, default=0)
    options = parser.parse_args()
    url = urlsplit(options.upstream)
    wire = Wire(url.hostname or "127.0.0.1", url.port or 80, options.latency_ms / 1000)
    run(serve(options.port, wire))


if __name__ == "__main__":
    main()
