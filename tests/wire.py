"""A reverse proxy between a storage and its server: it counts, delays and breaks requests.

In a thread of the test process::

    with Wire(server.url) as wire:
        wire.fail(500, method="PUT", name=r"\\.css$", times=2)
        with wire.recording() as seen:
            storage.save("a.css", content)
        assert seen.counts() == {"PUT": 3}

As a process of its own, which does not share the interpreter lock of the process under test, from Python
(``WireProcess``, the same methods) or from a shell::

    python -m tests.wire --upstream http://127.0.0.1:9000 --latency-ms 30

which prints the port and answers ``GET /__wire__/log``, ``GET /__wire__/counts``, ``POST /__wire__/reset``
and ``POST /__wire__/rules`` (a JSON list of rules in the words of ``Rule``, put behind those already there).
Bodies are streamed; the Host header and the request target are passed on as they came, so that signatures
stay valid.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self, cast
from urllib.parse import parse_qs, unquote, urlsplit
from urllib.request import Request as UrlRequest
from urllib.request import urlopen

from .servers.base import HOST, ProcessServer

CONTROL = "/__wire__/"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BLOCK = 1 << 16
#: A request body up to this size is read whole: it can be sent again when a kept connection turns out dead.
SMALL = 1 << 18
#: The longest head.
LIMIT = 1 << 18
CLOSED = (ConnectionError, asyncio.IncompleteReadError)
S3_LIST_PARAMETERS = {
    *("list-type", "prefix", "delimiter", "encoding-type", "max-keys", "x-id", "Version"),
    *("continuation-token", "start-after", "fetch-owner", "marker"),
}

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Request:
    """A request as the proxy saw it; ``status`` is None if it was never answered."""

    WORDS = ("method", "path", "target", "name", "query", "kind", "operation", "status")
    WORDS += ("bytes_in", "bytes_out", "headers", "fault")

    def __init__(self, head: bytes, dialect: str) -> None:
        self.head = head
        self.dialect = dialect
        self.body_start = b""
        self.status: int | None = None
        self.bytes_in = 0
        self.bytes_out = 0
        self.fault: str | None = None
        line = head[: head.index(b"\r\n")].decode("latin-1")
        self.method, self.target, self.version = line.split(" ", 2)

    def __repr__(self) -> str:
        return f"<{self.method} {self.target} {self.status}>"

    @cached_property
    def headers(self) -> dict[str, str]:
        """The request's headers, names in lower case."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}

    @cached_property
    def raw_path(self) -> str:
        return self.target.split("?", 1)[0]

    @cached_property
    def path(self) -> str:
        """The decoded path."""
        return unquote(self.raw_path)

    @cached_property
    def query(self) -> dict[str, str]:
        pairs = parse_qs(self.target.partition("?")[2], keep_blank_values=True)
        return {key: values[-1] for key, values in pairs.items()}

    @property
    def name(self) -> str:
        """The key of the object that the request is about, "" where it is about none."""
        if self.dialect == "gcs":
            return self._gcs_name()
        skipped = 2 if self.dialect == "azure" else 1
        return "/".join(self.path.lstrip("/").split("/")[skipped:])

    def _gcs_name(self) -> str:
        found = re.search(r"/b/[^/]+/o/(.+)$", self.raw_path)
        if found:
            return unquote(found[1])
        if self.raw_path.startswith("/upload/"):
            in_body = re.search(rb'"name":\s*("(?:[^"\\]|\\.)*")', self.body_start)
            return self.query.get("name") or (str(json.loads(in_body[1])) if in_body else "")
        if re.match(r"/(storage/|b/|b$|batch|$)", self.raw_path):
            return ""
        return "/".join(self.path.lstrip("/").split("/")[1:])

    @property
    def kind(self) -> str:
        """LIST for a listing of objects, else the method."""
        return "LIST" if self.method == "GET" and self._is_listing() else self.method

    def _is_listing(self) -> bool:
        if self.dialect == "azure":
            return self.query.get("comp") == "list"
        if self.dialect == "gcs":
            return re.search(r"/b/[^/]+/o$", self.raw_path) is not None
        return bool(self.path.strip("/")) and not self.name and self.query.keys() <= S3_LIST_PARAMETERS

    @property
    def operation(self) -> str:
        """What the request does, in one word for all providers: list upload download stat delete other."""
        if self.kind == "LIST":
            return "list"
        if self.method == "DELETE" or (self.dialect == "s3" and self.method == "POST" and "delete" in self.query):
            return "delete"
        if self.dialect == "gcs" and self.raw_path.startswith("/upload/"):
            return "upload"
        if not self.name:
            return "other"
        if self.method == "GET" and self.dialect == "gcs" and self.raw_path.startswith(("/storage/", "/b/")):
            return "download" if self.query.get("alt") == "media" else "stat"
        return {"GET": "download", "HEAD": "stat", "PUT": "upload"}.get(self.method, "other")

    def as_dict(self) -> dict[str, Any]:
        return {word: getattr(self, word) for word in self.WORDS}


@dataclass
class Rule:
    """What to do to which requests.

    A request is hit when every condition given agrees (``name`` and ``path`` are regular expressions that are
    searched for, ``match`` is a function of the request, not available over JSON), after ``skip`` of them
    were let pass, at most ``times`` times, with ``probability`` from a generator seeded with ``seed``.

    ``action``: "status" answers ``status`` with the provider's form of error body; "cut" ends the connection
    in the middle of the body (the request's if it has one, else the response's), "cut-response" in the middle
    of the response's; "lose" forwards the request, then ends the connection in place of an answer; "refuse"
    ends it at once; "delay" waits ``seconds`` and goes on.
    """

    action: str
    status: int = 500
    code: str = ""
    seconds: float = 0.0
    method: str = ""
    kind: str = ""
    operation: str = ""
    name: str = ""
    path: str = ""
    match: Callable[[Request], bool] | None = None
    times: int | None = None
    skip: int = 0
    probability: float = 1.0
    seed: int = 1
    hits: int = field(default=0, init=False)

    ACTIONS = ("status", "cut", "cut-response", "lose", "refuse", "delay")

    def __post_init__(self) -> None:
        if self.action not in self.ACTIONS:
            raise ValueError(f"unknown action {self.action!r}, expected one of {', '.join(self.ACTIONS)}")
        self._random = random.Random(self.seed)
        self._skipped = 0

    def applies(self, request: Request) -> bool:
        """Return whether this request is hit, and count it."""
        exact = ((self.method, "method"), (self.kind, "kind"), (self.operation, "operation"))
        if any(wanted and wanted != getattr(request, attribute) for wanted, attribute in exact):
            return False
        patterns = ((self.name, "name"), (self.path, "path"))
        if any(pattern and not re.search(pattern, getattr(request, attribute)) for pattern, attribute in patterns):
            return False
        if self.match is not None and not self.match(request):
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        if self._skipped < self.skip:
            self._skipped += 1
            return False
        if self.probability < 1 and self._random.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def as_dict(self) -> dict[str, Any]:
        if self.match is not None:
            raise ValueError("a rule with a match function cannot be sent to another process")
        # asdict would copy the function too, had it been there.
        return {name: value for name, value in asdict(self).items() if name not in ("match", "hits")}


class Log(list[Any]):
    """Requests in the order of their arrival."""

    def counts(self) -> dict[str, int]:
        """Return the number of requests by kind."""
        return dict(Counter(request.kind for request in self))

    def operations(self) -> dict[str, int]:
        """Return the number of requests by operation, which means the same for all providers."""
        return dict(Counter(request.operation for request in self))

    def of(self, kind: str) -> Log:
        """Return the requests of one kind or operation."""
        return Log(request for request in self if kind in (request.kind, request.operation))

    def names(self, kind: str) -> list[str]:
        """Return the object keys of the requests of one kind or operation."""
        return [request.name for request in self.of(kind)]


class _Proxy:
    """What tests do with both forms of the proxy."""

    requests: Log

    def add(self, rule: Rule) -> Rule:
        """Put a rule behind the others; the first that applies to a request is followed."""
        raise NotImplementedError

    def _seen_since(self, start: int) -> Log:
        raise NotImplementedError

    @contextlib.contextmanager
    def recording(self) -> Iterator[Log]:
        """Yield a log that holds, once the block has ended, the requests that arrived in it."""
        seen = Log()
        start = len(self.requests)
        try:
            yield seen
        finally:
            seen.extend(self._seen_since(start))

    def fail(self, status: int = 500, **conditions: Any) -> Rule:
        """Answer matching requests with an error status."""
        return self.add(Rule("status", status=status, **conditions))

    def cut(self, **conditions: Any) -> Rule:
        """End the connection in the middle of the body of matching requests."""
        return self.add(Rule("cut", **conditions))

    def delay(self, seconds: float, **conditions: Any) -> Rule:
        """Hold matching requests back."""
        return self.add(Rule("delay", seconds=seconds, **conditions))

    def refuse(self, **conditions: Any) -> Rule:
        """End the connection of matching requests without an answer."""
        return self.add(Rule("refuse", **conditions))


class _Head:
    """The head of a message: its first line, the framing of its body, and what to pass on of it."""

    HOP_BY_HOP = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"expect"))

    def __init__(self, head: bytes) -> None:
        first, *lines = head[:-4].split(b"\r\n")
        self.first = first
        self.chunked = self.closes = self.expects_continue = False
        self.length: int | None = None
        self.kept: list[bytes] = []
        for line in lines:
            name, _, value = line.partition(b":")
            name = name.lower()
            if name not in self.HOP_BY_HOP:
                self.kept.append(line)
            if name == b"content-length":
                self.length = int(value)
            elif name == b"transfer-encoding":
                self.chunked = b"chunked" in value.lower()
            elif name == b"connection":
                self.closes = b"close" in value.lower()
            elif name == b"expect":
                self.expects_continue = b"100-continue" in value.lower()

    def encode(self, first: bytes, *more: bytes) -> bytes:
        return b"\r\n".join((first, *self.kept, *more, b"", b""))


async def _blocks(reader: asyncio.StreamReader, head: _Head) -> AsyncIterator[tuple[bytes, int]]:
    """Yield ``(bytes on the wire, number of content bytes in them)`` of a body as it arrives."""
    if head.chunked:
        size = 1
        while size:
            line = await reader.readuntil(b"\n")
            size = int(line.split(b";")[0], 16)
            yield line, 0
            if size:
                async for block in _exactly(reader, size):
                    yield block, len(block)
                yield await reader.readexactly(2), 0
        # Trailers, up to the empty line.
        while line.strip():
            line = await reader.readuntil(b"\n")
            yield line, 0
    elif head.length is not None:
        async for block in _exactly(reader, head.length):
            yield block, len(block)
    else:
        while block := await reader.read(BLOCK):
            yield block, len(block)


async def _exactly(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while size:
        block = await reader.read(min(BLOCK, size))
        if not block:
            raise asyncio.IncompleteReadError(b"", size)
        size -= len(block)
        yield block


@dataclass
class _Exchange:
    """One request on its way: what was read of it and where its answer goes."""

    request: Request
    head: _Head
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    rule: Rule | None = None
    keep: bool = True

    @property
    def is_small(self) -> bool:
        return not self.head.chunked and (self.head.length or 0) <= SMALL

    @property
    def has_body(self) -> bool:
        return self.head.chunked or bool(self.head.length)

    def action(self, *names: str) -> bool:
        return self.rule is not None and self.rule.action in names


class Wire(_Proxy):
    """The proxy in a thread of this process; ``url`` is what a storage takes as its endpoint.

    ``dialect`` ("s3", "gcs" or "azure") says how to read names and listings and how errors look. ``latency``
    is in seconds per request and may be changed at any time. ``peak`` is the largest number of requests at
    one time.
    """

    def __init__(self, upstream: str, *, latency: float = 0.0, dialect: str = "s3", port: int = 0) -> None:
        parts = urlsplit(upstream)
        self.upstream = (parts.hostname or HOST, parts.port or 80)
        self.latency = latency
        self.dialect = dialect
        self.port = port
        self.rules: list[Rule] = []
        self.requests = Log()
        self.active = self.peak = 0
        self._idle: list[Connection] = []
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    # In a thread

    def start(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._thread.start()
        self._run(self.listen())
        return self

    def stop(self) -> None:
        self._run(self.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _run(self, task: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(task, self._loop).result(10)

    def down(self) -> None:
        """Close the port and every connection, as if there were no network; ``up()`` opens it again."""
        self._run(self.close())

    def up(self) -> None:
        """Listen again on the same port."""
        self._run(self.listen())

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """Be down for as long as the block runs."""
        self.down()
        try:
            yield
        finally:
            self.up()

    # What was seen, and what is to be broken

    def counts(self) -> dict[str, int]:
        return self.requests.counts()

    def reset(self) -> None:
        """Forget rules and requests."""
        self.rules = []
        self.requests = Log()
        self.peak = 0

    def add(self, rule: Rule) -> Rule:
        self.rules = [*self.rules, rule]
        return rule

    def _seen_since(self, start: int) -> Log:
        return Log(self.requests[start:])

    # The proxy

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self.port, limit=LIMIT, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._server.close()
        tasks = list(self._clients)
        for task, writer in list(self._clients.items()):
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _, writer in self._idle:
            writer.transport.abort()
        self._idle.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients[task] = writer
        try:
            while await self._answer(reader, writer):
                pass
            await _flush(writer)
        except CLOSED:
            writer.transport.abort()
        finally:
            del self._clients[task]
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request and return whether the connection can take another."""
        raw = await reader.readuntil(b"\r\n\r\n")
        head = _Head(raw)
        request = Request(raw, self.dialect)
        if head.length is None and not head.chunked:
            head.length = 0
        if request.target.startswith(CONTROL):
            self._control(request, await reader.readexactly(head.length or 0), writer)
            return not head.closes
        exchange = _Exchange(request, head, reader, writer, keep=not head.closes)
        self.requests.append(request)
        self.active += 1
        self.peak = max(self.peak, self.active)
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            await self._forward(exchange)
        finally:
            self.active -= 1
        return exchange.keep

    async def _forward(self, exchange: _Exchange) -> None:
        request = exchange.request
        content = b""
        # Google's uploads carry the name in the body, so that rules are asked once it was read. For all
        # others they are asked first: a client that waits for "100 Continue" gets its refusal in place of it.
        name_in_body = self.dialect == "gcs" and request.method == "POST" and exchange.is_small
        if name_in_body:
            content = await self._read(exchange)
            request.body_start = content[:4096]
        exchange.rule = next((rule for rule in self.rules if rule.applies(request)), None)
        if exchange.rule:
            request.fault = exchange.rule.action
            if not await self._survives(exchange, exchange.rule, is_read=name_in_body):
                return
        if not exchange.is_small:
            await self._stream(exchange)
            return
        if not name_in_body:
            content = await self._read(exchange)
        await self._send(exchange, content)

    async def _read(self, exchange: _Exchange) -> bytes:
        if not exchange.has_body:
            return b""
        if exchange.head.expects_continue:
            exchange.writer.write(CONTINUE)
        content = await exchange.reader.readexactly(exchange.head.length or 0)
        exchange.request.bytes_in = len(content)
        return content

    async def _survives(self, exchange: _Exchange, rule: Rule, *, is_read: bool) -> bool:
        """Do what the rule wants before the request is forwarded, and return whether it still is to be."""
        head = exchange.head
        if rule.action == "delay":
            await asyncio.sleep(rule.seconds)
        elif rule.action == "refuse":
            raise ConnectionResetError
        elif rule.action == "cut" and exchange.has_body:
            if not is_read:
                if head.expects_continue:
                    exchange.writer.write(CONTINUE)
                async for _ in _exactly(exchange.reader, (head.length or 2) // 2):
                    pass
            raise ConnectionResetError
        elif rule.action == "status":
            if head.expects_continue:
                exchange.keep = False
            elif not is_read:
                async for _, count in _blocks(exchange.reader, head):
                    exchange.request.bytes_in += count
            self._error(exchange, rule.status, rule.code)
            return False
        return True

    async def _connect(self) -> Connection:
        return await asyncio.open_connection(*self.upstream, limit=LIMIT)

    async def _send(self, exchange: _Exchange, content: bytes) -> None:
        """Forward a request that is at hand, over a kept connection if one is alive."""
        message = exchange.head.encode(exchange.head.first) + content
        while True:
            is_kept = bool(self._idle)
            try:
                upstream = self._idle.pop() if is_kept else await self._connect()
                upstream[1].write(message)
                response = await self._response_head(upstream[0])
                break
            except CLOSED:
                if not is_kept:
                    self._error(exchange, 502, "BadGateway")
                    return
        await self._relay(exchange, response, upstream)

    async def _stream(self, exchange: _Exchange) -> None:
        """Forward a request whose body is too large to hold, as it arrives."""
        try:
            upstream = await self._connect()
        except OSError:
            exchange.keep = False
            self._error(exchange, 502, "BadGateway")
            return
        upstream[1].write(exchange.head.encode(exchange.head.first))
        if exchange.head.expects_continue:
            exchange.writer.write(CONTINUE)
        # The server may answer before it has read the body, to refuse it.
        answer = asyncio.ensure_future(self._response_head(upstream[0]))
        try:
            async for block, count in _blocks(exchange.reader, exchange.head):
                exchange.request.bytes_in += count
                if not answer.done():
                    upstream[1].write(block)
                    with contextlib.suppress(ConnectionError):
                        await upstream[1].drain()
            response = await answer
        except CLOSED:
            upstream[1].transport.abort()
            raise
        finally:
            answer.cancel()
        await self._relay(exchange, response, upstream)

    async def _response_head(self, reader: asyncio.StreamReader) -> _Head:
        while True:
            head = _Head(await reader.readuntil(b"\r\n\r\n"))
            if not head.first.split(b" ", 2)[1].startswith(b"1"):
                return head

    async def _relay(self, exchange: _Exchange, response: _Head, upstream: Connection) -> None:
        request, writer = exchange.request, exchange.writer
        reader, upstream_writer = upstream
        if exchange.action("lose"):
            upstream_writer.transport.abort()
            raise ConnectionResetError
        version, status, *_ = response.first.split(b" ", 2)
        request.status = int(status)
        if request.method == "HEAD" or request.status in (204, 304):
            response.length, response.chunked = 0, False
        until_closed = response.length is None and not response.chunked
        exchange.keep = exchange.keep and not until_closed
        first = b"HTTP/1.1" + response.first[len(version) :]
        pending = response.encode(first) if exchange.keep else response.encode(first, b"Connection: close")
        left = (response.length or 2) // 2 if exchange.action("cut", "cut-response") else None
        try:
            async for block, count in _blocks(reader, response):
                if left is not None and count >= left:
                    writer.write(pending + block[:left])
                    await _flush(writer)
                    raise ConnectionResetError
                left = left and left - count
                request.bytes_out += count
                writer.write(pending + block)
                pending = b""
                await writer.drain()
            if left is not None:
                raise ConnectionResetError
        except CLOSED:
            upstream_writer.transport.abort()
            raise
        if pending:
            writer.write(pending)
        if until_closed or response.closes or version == b"HTTP/1.0" or reader.at_eof():
            upstream_writer.close()
        else:
            self._idle.append(upstream)

    def _error(self, exchange: _Exchange, status: int, code: str) -> None:
        """Answer with an error in the form of the provider."""
        exchange.request.status = status
        code = code or {503: "SlowDown", 500: "InternalError", 403: "AccessDenied"}.get(status, "Error")
        message = f"{code} injected for a test"
        kind = "application/xml"
        if self.dialect == "gcs":
            kind = "application/json"
            text = json.dumps({"error": {"code": status, "message": message, "errors": [{"reason": code}]}})
        else:
            text = '<?xml version="1.0" encoding="UTF-8"?>\n'
            text += f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        lines = [f"HTTP/1.1 {status} {code}", f"Content-Type: {kind}", f"Content-Length: {len(text)}"]
        if self.dialect == "azure":
            lines.append(f"x-ms-error-code: {code}")
        if not exchange.keep:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""])
        exchange.writer.write((head if exchange.request.method == "HEAD" else head + text).encode())

    # Control over HTTP

    def _control(self, request: Request, content: bytes, writer: asyncio.StreamWriter) -> None:
        status, answer = 200, {}
        match request.method, request.raw_path.removeprefix(CONTROL):
            case "GET", "log":
                seen = self._seen_since(int(request.query.get("since", 0)))
                answer = {"requests": [seen_request.as_dict() for seen_request in seen]}
            case "GET", "counts":
                answer = {
                    "counts": self.counts(),
                    "operations": self.requests.operations(),
                    "total": len(self.requests),
                    "peak": self.peak,
                    "hits": [rule.hits for rule in self.rules],
                }
            case "POST", "reset":
                self.reset()
            case "POST", "rules":
                try:
                    for words in json.loads(content):
                        self.add(Rule(**words))
                except (TypeError, ValueError) as error:
                    status, answer = 400, {"error": str(error)}
            case "POST", "latency":
                self.latency = float(request.query["ms"]) / 1000
            case _:
                status = 404
        text = json.dumps(answer).encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        writer.write(head.encode() + text)


async def _flush(writer: asyncio.StreamWriter) -> None:
    """Wait until all that was written has been handed to the kernel."""
    writer.transport.set_write_buffer_limits(0)
    await writer.drain()


class WireProcess(_Proxy, ProcessServer):
    """The proxy in a process of its own, with the methods of ``Wire``; its rules take no ``match``."""

    name = "wire"

    def __init__(self, upstream: str, *, latency: float = 0.0, dialect: str = "s3") -> None:
        super().__init__()
        self.upstream = upstream
        self.latency = latency
        self.dialect = dialect

    def command(self) -> list[str]:
        return [
            *[sys.executable, "-m", "tests.wire", "--upstream", self.upstream, "--port", str(self.port)],
            *["--latency-ms", str(self.latency * 1000), "--dialect", self.dialect],
        ]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}

    def _call(self, method: str, what: str, body: object = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(UrlRequest(self.url + CONTROL + what, data, method=method), timeout=30) as response:
            return cast(dict[str, Any], json.load(response))

    @property
    def requests(self) -> Log:
        return self._seen_since(0)

    def _seen_since(self, start: int) -> Log:
        return Log(SimpleNamespace(**words) for words in self._call("GET", f"log?since={start}")["requests"])

    def counts(self) -> dict[str, int]:
        return cast(dict[str, int], self._call("GET", "counts")["counts"])

    def summary(self) -> dict[str, Any]:
        """Return ``counts``, ``operations``, ``total``, ``peak`` and the ``hits`` of each rule."""
        return self._call("GET", "counts")

    def reset(self) -> None:
        self._call("POST", "reset")

    def add(self, rule: Rule) -> Rule:
        self._call("POST", "rules", [rule.as_dict()])
        return rule

    def set_latency(self, seconds: float) -> None:
        self._call("POST", f"latency?ms={seconds * 1000}")


async def _main(options: argparse.Namespace) -> None:
    wire = Wire(options.upstream, latency=options.latency_ms / 1000, dialect=options.dialect, port=options.port)
    await wire.listen()
    print(wire.port, flush=True)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await wire.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.wire", description="A proxy for tests.")
    parser.add_argument("--upstream", required=True, help="base URL of the server behind it")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="added to every request")
    parser.add_argument("--dialect", choices=["s3", "gcs", "azure"], default="s3")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    asyncio.run(_main(parser.parse_args()))
