"""An S3 bucket of any size that nobody had to fill: foreign objects come from a rule, page by page.

``python -m tests.bench.endless --port 9000 --layout media --foreign 1000000 --latency-ms 0``

Speaks what a deployment needs of S3 over path-style addresses, whatever the bucket's name: ListObjectsV2 with prefix,
start-after and continuation-token; PUT, GET, HEAD, DELETE with If-Match and If-None-Match; DeleteObjects. Signatures
are not checked. What was put is listed among the foreign objects, in order. Counts like ``proxy.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

from tests.bench.proxy import CONTROL, Counts, kind_of, run

PAGE = 1000
#: The release of ``scale.py`` is spread over this many directories.
DIRECTORIES = 100


def kind(number: int) -> str:
    """Return the extension of the release's file of this number, in each of its directories."""
    return {0: "css", 1: "svg"}.get(number % 10, "js")


@dataclass(frozen=True)
class Foreign:
    """Objects that exist by a rule: ``key`` of a rising number gives names in rising order."""

    count: int
    key: Callable[[int], str]

    def after(self, name: str) -> Iterator[str]:
        """Yield the names greater than *name*, in order."""
        start = bisect.bisect_right(range(self.count), name, key=self.key)
        return map(self.key, range(start, self.count))


def media(count: int) -> Foreign:
    """Uploads of visitors under a prefix of their own."""
    return Foreign(count, lambda i: f"media/{i // 1000:06d}/photo-{i % 1000:03d}.jpg")


def scattered(count: int) -> Foreign:
    """Files that somebody else puts into the very directories of the release."""
    each = max(1, -(-count // DIRECTORIES))
    return Foreign(count, lambda i: f"d{i // each:03d}/upload-{i % each:07d}.jpg")


def old(count: int) -> Foreign:
    """What a hundred earlier releases have left: other hashes of the names that the release has."""
    versions = 100
    files = max(1, -(-count // versions // DIRECTORIES))

    def key(i: int) -> str:
        file, version = divmod(i, versions)
        directory, number = divmod(file, files)
        return f"d{directory:03d}/f{number:05d}.{version:04x}{file:08x}.{kind(number)}"

    return Foreign(count, key)


LAYOUTS = {"media": media, "scattered": scattered, "old": old}


class Refused(Exception):
    """A request is answered with an S3 error."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


@dataclass(frozen=True)
class Object:
    body: bytes
    etag: str


class Bucket:
    """What was put, and the foreign objects around it."""

    def __init__(self, foreign: Foreign) -> None:
        self.foreign = foreign
        self.objects: dict[str, Object] = {}
        self.names: list[str] = []

    def put(self, name: str, body: bytes, headers: dict[str, str]) -> str:
        held = self.objects.get(name)
        if headers.get("if-none-match") == "*" and held:
            raise Refused(412, "PreconditionFailed")
        if "if-match" in headers and (held is None or headers["if-match"].strip('"') != held.etag):
            raise Refused(412, "PreconditionFailed")
        if held is None:
            bisect.insort(self.names, name)
        self.objects[name] = Object(body, hashlib.md5(body, usedforsecurity=False).hexdigest())
        return self.objects[name].etag

    def get(self, name: str) -> Object:
        if name not in self.objects:
            raise Refused(404, "NoSuchKey")
        return self.objects[name]

    def delete(self, name: str) -> None:
        if self.objects.pop(name, None):
            del self.names[bisect.bisect_left(self.names, name)]

    def page(self, prefix: str, after: str, size: int) -> tuple[list[str], bool]:
        """Return up to *size* names after *after*, and whether there are more."""
        # No name that starts with the prefix is smaller than it; the prefix itself may be a name.
        start = after if after >= prefix else prefix[:-1] + chr(ord(prefix[-1]) - 1) + "\U0010ffff"
        own = iter(self.names[bisect.bisect_right(self.names, start) :][: size + 1])
        names: list[str] = []
        for name in merged(own, self.foreign.after(start)):
            if not name.startswith(prefix):
                if name > prefix:
                    break
                continue
            if len(names) == size:
                return names, True
            names.append(name)
        return names, False

    def listing(self, query: dict[str, str]) -> bytes:
        """Answer ListObjectsV2."""
        if query.get("delimiter"):
            raise Refused(501, "NotImplemented")
        after = query.get("continuation-token") or query.get("start-after") or ""
        names, has_more = self.page(query.get("prefix", ""), after, min(PAGE, int(query.get("max-keys", PAGE))))
        entries = "".join(self._entry(name) for name in names)
        token = f"<NextContinuationToken>{escape(names[-1])}</NextContinuationToken>" if has_more else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>bucket</Name><Prefix>{escape(query.get('prefix', ''))}</Prefix><KeyCount>{len(names)}</KeyCount>"
            f"<MaxKeys>{PAGE}</MaxKeys><IsTruncated>{str(has_more).lower()}</IsTruncated>{token}{entries}"
            "</ListBucketResult>"
        ).encode()

    def _entry(self, name: str) -> str:
        held = self.objects.get(name)
        size, etag = (len(held.body), held.etag) if held else (50_000, "0123456789abcdef0123456789abcdef")
        return (
            f"<Contents><Key>{escape(name)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )


def merged(own: Iterator[str], foreign: Iterator[str]) -> Iterator[str]:
    """Merge two rising sequences; a name in both comes once."""
    mine, other = next(own, None), next(foreign, None)
    while mine is not None or other is not None:
        if other is None or (mine is not None and mine <= other):
            if mine == other:
                other = next(foreign, None)
            yield cast(str, mine)
            mine = next(own, None)
        else:
            yield other
            other = next(foreign, None)


class Connection(asyncio.Protocol):
    """One client: requests one after the other, each answered after the latency."""

    transport: asyncio.Transport

    def __init__(self, bucket: Bucket, counts: list[Counts], latency: float) -> None:
        self.bucket, self.counts, self.latency = bucket, counts, latency
        self.received = bytearray()
        self.is_continued = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.received += data
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return
        first, *lines = self.received[:end].decode("latin-1").split("\r\n")
        headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", 0))
        if headers.get("expect", "").lower() == "100-continue" and not self.is_continued:
            self.is_continued = True
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if len(self.received) < end + 4 + size:
            return
        body = bytes(self.received[end + 4 : end + 4 + size])
        del self.received[: end + 4 + size]
        self.is_continued = False
        method, target, _ = first.split(" ", 2)
        answer = self.answer(method, target, headers, body)
        is_control = target.encode().startswith(CONTROL)
        if self.latency and not is_control:
            asyncio.get_running_loop().call_later(self.latency, self.transport.write, answer)
        else:
            self.transport.write(answer)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
        if target.encode().startswith(CONTROL):
            return self.control(target)
        counts = self.counts[0]
        counts.kinds[kind_of(method, target, "x-amz-copy-source" in headers)] += 1
        counts.body_bytes += len(body)
        counts.bytes_sent += len(body)
        try:
            status, fields, content = self.handle(method, target, headers, body)
        except Refused as error:
            content = f"<Error><Code>{error.code}</Code><Message>{error.code}</Message></Error>".encode()
            status, fields = error.status, {"Content-Type": "application/xml"}
        counts.statuses[str(status)] += 1
        return response(status, fields, content, has_body=method != "HEAD")

    def handle(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Do what one request asks; returns status, headers and content."""
        url = urlsplit(target)
        name = unquote(url.path).lstrip("/").partition("/")[2]
        query = {key: values[-1] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        if not name and method == "GET":
            return 200, {"Content-Type": "application/xml"}, self.bucket.listing(query)
        if not name and method == "POST" and "delete" in query:
            for key in re.findall(r"<Key>(.*?)</Key>", body.decode()):
                self.bucket.delete(unescape(key))
            return 200, {"Content-Type": "application/xml"}, b"<DeleteResult></DeleteResult>"
        if method == "PUT":
            return 200, {"ETag": f'"{self.bucket.put(name, body, headers)}"'} if name else {}, b""
        if method == "DELETE":
            self.bucket.delete(name)
            return 204, {}, b""
        if method in {"GET", "HEAD"} and name:
            held = self.bucket.get(name)
            fields = {"ETag": f'"{held.etag}"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
            return 200, {**fields, "Content-Type": "application/octet-stream"}, held.body
        raise Refused(501, "NotImplemented")

    def control(self, target: str) -> bytes:
        content = self.counts[0].as_json()
        if target.endswith("/reset"):
            self.counts[0] = Counts()
        return response(200, {"Content-Type": "application/json"}, content)


def response(status: int, fields: dict[str, str], content: bytes, *, has_body: bool = True) -> bytes:
    head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Length: {len(content)}"]
    head += [f"{key}: {value}" for key, value in fields.items()]
    return "\r\n".join([*head, "", ""]).encode() + (content if has_body else b"")


async def serve(port: int, bucket: Bucket, latency: float) -> None:
    """Serve until the process is ended."""
    counts = [Counts()]
    loop = asyncio.get_running_loop()
    factory: Callable[[], asyncio.Protocol] = lambda: Connection(bucket, counts, latency)  # noqa: E731
    server = await loop.create_server(factory, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--layout", choices=LAYOUTS, default="media", help="where the foreign objects are")
    parser.add_argument("--foreign", type=int, default=0, help="how many there are")
    parser.add_argument("--latency-ms", type=float, default=0)
    options = parser.parse_args()
    bucket = Bucket(LAYOUTS[options.layout](options.foreign))
    run(serve(options.port, bucket, options.latency_ms / 1000))


if __name__ == "__main__":
    main()
