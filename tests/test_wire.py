"""The proxy passes everything on unchanged, sees it as it is, and breaks what it is told to break."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request as UrlRequest
from urllib.request import urlopen

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from .rigs import Rig
from .servers import require, shared
from .servers.moto import Moto
from .wire import Rule, Wire, WireProcess


def client_for(rig: Rig, attempts: int = 1) -> Any:
    """boto3 through the proxy, which tries as often as said."""
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        retries={"total_max_attempts": attempts},
        max_pool_connections=64,
    )
    keys = rig.server.credentials
    return boto3.client("s3", endpoint_url=rig.wire.url, region_name="us-east-1", config=config, **keys)


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was sent; ``/early`` with a refusal before the body is read."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path == "/until-closed":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 100_000)
            self.close_connection = True
        elif self.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n")
        else:
            self.answer(self.path.encode())

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "12345")
        self.end_headers()

    def do_PUT(self) -> None:
        if self.path == "/early":
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()
            # As real servers do: a connection closed with input unread would take the answer along.
            self.connection.shutdown(socket.SHUT_WR)
            time.sleep(0.5)
            return
        digest = hashlib.sha256()
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                digest.update(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        else:
            left = int(self.headers["Content-Length"])
            while left:
                block = self.rfile.read(min(left, 1 << 16))
                digest.update(block)
                left -= len(block)
        self.answer(digest.hexdigest().encode())

    def answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Host", self.headers["Host"])
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


class EchoServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@pytest.fixture
def echo() -> Iterator[str]:
    server = EchoServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def wire(echo: str) -> Iterator[Wire]:
    with Wire(echo) as running:
        yield running


def connect(wire: Wire) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", wire.port, timeout=20)


# What passes


def test_boto3_works_through_it(s3: Rig) -> None:
    client = client_for(s3)
    large = hashlib.shake_256(b"large").digest(9_000_000)

    client.put_object(Bucket=s3.bucket, Key="a/grün +%20.css", Body=b"a{}", CacheControl="max-age=5")
    client.upload_fileobj(io.BytesIO(large), s3.bucket, "large")
    target = io.BytesIO()
    client.download_fileobj(s3.bucket, "large", target)
    with pytest.raises(ClientError, match="404"):
        client.head_object(Bucket=s3.bucket, Key="missing")
    client.list_objects_v2(Bucket=s3.bucket, Prefix="a/")
    client.delete_objects(Bucket=s3.bucket, Delete={"Objects": [{"Key": "large"}]})
    client.delete_object(Bucket=s3.bucket, Key="none")

    assert target.getvalue() == large
    assert s3.raw_get("a/grün +%20.css") == b"a{}"
    assert s3.raw_head("a/grün +%20.css").cache_control == "max-age=5"
    seen = s3.wire.requests
    assert seen[0].name == "a/grün +%20.css"
    assert (seen[0].kind, seen[0].operation, seen[0].status, seen[0].bytes_in) == ("PUT", "upload", 200, 3)
    assert seen[0].headers["cache-control"] == "max-age=5"
    assert seen.of("LIST")[0].query["prefix"] == "a/"
    assert sum(request.bytes_out for request in seen.of("download")) == len(large)
    assert seen.names("stat") == ["large", "missing"]
    assert len(seen.of("delete")) == 2
    # The parts of the large one: it begins and ends with a POST, and another deletes it.
    assert s3.wire.counts() == {"PUT": 3, "GET": 2, "HEAD": 2, "POST": 3, "LIST": 1, "DELETE": 1}


def test_an_unseekable_stream_is_passed_on_in_its_chunks(s3: Rig) -> None:
    class Stream(io.RawIOBase):
        left = 5_000_000

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            size = min(len(buffer), self.left)
            buffer[:size] = b"x" * size
            self.left -= size
            return size

    client_for(s3).upload_fileobj(Stream(), s3.bucket, "streamed")

    assert s3.raw_get("streamed") == b"x" * 5_000_000


def test_the_target_and_the_host_arrive_as_they_were_sent(wire: Wire) -> None:
    connection = connect(wire)
    connection.request("GET", "/a%2Fb/%c3%bc//../x?q=%20+&r", headers={"Host": "bucket.example:99"})
    answer = connection.getresponse()

    assert answer.read() == b"/a%2Fb/%c3%bc//../x?q=%20+&r"
    assert answer.headers["X-Host"] == "bucket.example:99"


def test_a_connection_takes_many_requests(wire: Wire) -> None:
    connection = connect(wire)
    sockets = set()
    for path in ("/1", "/chunked", "/2"):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.read() in (b"/1", b"/2", b"abcdefgh")
        sockets.add(connection.sock)
    connection.request("HEAD", "/")
    answer = connection.getresponse()
    assert (answer.headers["Content-Length"], answer.read()) == ("12345", b"")
    sockets.add(connection.sock)

    assert len(sockets) == 1
    assert [request.bytes_out for request in wire.requests] == [2, 8, 2, 0]


def test_a_body_that_ends_with_the_connection_arrives_whole(wire: Wire) -> None:
    connection = connect(wire)
    connection.request("GET", "/until-closed")
    assert len(connection.getresponse().read()) == 100_000


def test_a_chunked_body_arrives_whole(wire: Wire) -> None:
    connection = connect(wire)
    connection.request("PUT", "/x", body=iter([b"abc", b"d" * 300_000, b"e"]), encode_chunked=True)

    expected = hashlib.sha256(b"abc" + b"d" * 300_000 + b"e").hexdigest()
    assert connection.getresponse().read().decode() == expected
    assert wire.requests[0].bytes_in == 300_004


def test_a_client_that_expects_100_gets_it(wire: Wire) -> None:
    with socket.create_connection(("127.0.0.1", wire.port), timeout=20) as raw:
        raw.sendall(b"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert raw.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.sendall(b"abc")
        assert raw.recv(100).startswith(b"HTTP/1.1 200")


def test_a_client_that_expects_100_is_refused_before_it_sends(wire: Wire) -> None:
    wire.fail(503)
    with socket.create_connection(("127.0.0.1", wire.port), timeout=20) as raw:
        raw.sendall(b"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        answer = b"".join(iter(lambda: raw.recv(1000), b""))
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"<Code>SlowDown</Code>" in answer
    assert wire.requests[0].bytes_in == 0


def test_a_refusal_that_comes_before_the_body_has_ended_arrives(wire: Wire) -> None:
    connection = connect(wire)
    connection.putrequest("PUT", "/early")
    connection.putheader("Content-Length", str(50_000_000))
    connection.endheaders()
    for _ in range(500):
        connection.send(b"x" * 100_000)
    assert connection.getresponse().status == 403


def test_a_large_body_is_not_held(tmp_path: Path, echo: str) -> None:
    with WireProcess(echo) as wire:
        connection = http.client.HTTPConnection("127.0.0.1", wire.port, timeout=60)
        block = b"x" * 1_000_000
        connection.putrequest("PUT", "/large")
        connection.putheader("Content-Length", str(300 * len(block)))
        connection.endheaders()
        for _ in range(300):
            connection.send(block)
        connection.getresponse().read()

        assert wire.requests[0].bytes_in == 300 * len(block)
        peaks = [
            int(line.split()[1])
            for path in Path("/proc").glob("[0-9]*/status")
            if (path.parent / "cmdline").read_bytes().find(f"--port\0{wire.port}\0".encode()) > 0
            for line in path.read_text().splitlines()
            if line.startswith("VmHWM")
        ]
    assert peaks
    assert max(peaks) < 100_000


def test_sixty_four_at_once(wire: Wire) -> None:
    together = threading.Barrier(64)

    def put(number: int) -> str:
        connection = connect(wire)
        together.wait(20)
        connection.request("PUT", f"/{number}", body=str(number).encode())
        return connection.getresponse().read().decode()

    wire.latency = 0.2
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(put, range(64)))

    assert answers == [hashlib.sha256(str(number).encode()).hexdigest() for number in range(64)]
    assert wire.peak > 32
    assert len(wire.requests) == 64


# What is broken


def test_failures_come_as_often_as_they_were_asked_for(s3: Rig) -> None:
    rule = s3.wire.fail(500, method="PUT", name=r"\.css$", times=2, skip=1)
    client = client_for(s3)
    refused = []
    for key in ("a.css", "b.js", "b.css", "c.css", "d.css"):
        try:
            client.put_object(Bucket=s3.bucket, Key=key, Body=b"x")
        except ClientError as error:
            refused.append((key, error.response["Error"]["Code"]))

    assert refused == [("b.css", "InternalError"), ("c.css", "InternalError")]
    assert [request.status for request in s3.wire.requests] == [200, 200, 500, 500, 200]
    assert rule.hits == 2
    assert s3.raw_list() == ["a.css", "b.js", "d.css"]


def test_a_client_that_tries_again_gets_through(s3: Rig) -> None:
    for break_ in (s3.wire.fail, s3.wire.cut, s3.wire.refuse):
        s3.wire.reset()
        break_(method="PUT", times=1)
        client_for(s3, attempts=3).put_object(Bucket=s3.bucket, Key="a", Body=b"x" * 1000)
        assert [request.status for request in s3.wire.requests][1:] == [200]
        assert s3.wire.requests[0].fault in ("status", "cut", "refuse")


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_an_upload_that_is_cut_leaves_nothing(s3: Rig, size: int) -> None:
    s3.wire.cut(method="PUT")
    with pytest.raises(BotoCoreError):
        client_for(s3).put_object(Bucket=s3.bucket, Key="a", Body=b"x" * size)
    assert s3.raw_list() == []


def test_an_answer_that_is_lost_has_had_its_effect(s3: Rig) -> None:
    s3.wire.add(Rule("lose", method="PUT"))
    with pytest.raises(BotoCoreError):
        client_for(s3).put_object(Bucket=s3.bucket, Key="a", Body=b"x")
    assert s3.raw_list() == ["a"]


def test_a_download_that_is_cut_arrives_in_half(s3: Rig) -> None:
    s3.raw_put("a", b"x" * 1_000_000)
    s3.wire.cut(operation="download")
    body = client_for(s3).get_object(Bucket=s3.bucket, Key="a")["Body"]
    with pytest.raises(BotoCoreError):
        body.read()
    assert s3.wire.requests[0].bytes_out < 1_000_000


def test_chance_is_the_same_in_every_run(wire: Wire) -> None:
    def outcome() -> list[int]:
        wire.reset()
        wire.fail(503, probability=0.3, seed=7)
        connection = connect(wire)
        statuses = []
        for _ in range(50):
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        return statuses

    first = outcome()
    assert set(first) == {200, 503}
    assert outcome() == first


def test_a_match_may_be_any_function(wire: Wire) -> None:
    wire.fail(418, match=lambda request: request.headers["x-mine"] == "1")
    connection = connect(wire)
    for value, status in (("0", 200), ("1", 418)):
        connection.request("GET", "/", headers={"X-Mine": value})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status


def test_in_an_outage_nothing_connects_and_afterwards_all_is_well(s3: Rig) -> None:
    client = client_for(s3)
    client.put_object(Bucket=s3.bucket, Key="a", Body=b"x")
    with s3.wire.outage(), pytest.raises(EndpointConnectionError):
        client.list_buckets()
    assert client.get_object(Bucket=s3.bucket, Key="a")["Body"].read() == b"x"


def test_a_server_that_is_gone_is_a_bad_gateway(echo: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with Wire(f"http://127.0.0.1:{unused.getsockname()[1]}") as wire:
            connection = connect(wire)
            connection.request("GET", "/")
            assert connection.getresponse().status == 502


def test_a_rule_with_an_unknown_action_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown action 'explode', expected one of status, cut"):
        Rule("explode")


# How it reads requests


@pytest.mark.parametrize(
    ("dialect", "method", "target", "kind", "operation", "name"),
    [
        ("s3", "GET", "/bucket?list-type=2&prefix=a", "LIST", "list", ""),
        ("s3", "GET", "/bucket?location", "GET", "other", ""),
        ("s3", "GET", "/", "GET", "other", ""),
        ("s3", "GET", "/bucket/a/b%20c", "GET", "download", "a/b c"),
        ("s3", "POST", "/bucket?delete", "POST", "delete", ""),
        ("s3", "DELETE", "/bucket/a", "DELETE", "delete", "a"),
        ("azure", "GET", "/account/container?restype=container&comp=list", "LIST", "list", ""),
        ("azure", "PUT", "/account/container/a/b.css", "PUT", "upload", "a/b.css"),
        ("azure", "HEAD", "/account/container/a", "HEAD", "stat", "a"),
        ("gcs", "GET", "/storage/v1/b/bucket/o?prefix=a", "LIST", "list", ""),
        ("gcs", "GET", "/storage/v1/b/bucket/o/a%2Fb", "GET", "stat", "a/b"),
        ("gcs", "GET", "/storage/v1/b/bucket/o/a%2Fb?alt=media", "GET", "download", "a/b"),
        ("gcs", "GET", "/download/storage/v1/b/bucket/o/a%2Fb?alt=media", "GET", "download", "a/b"),
        ("gcs", "GET", "/bucket/a/b", "GET", "download", "a/b"),
        ("gcs", "POST", "/upload/storage/v1/b/bucket/o?uploadType=media&name=a", "POST", "upload", "a"),
        ("gcs", "GET", "/storage/v1/b/bucket", "GET", "other", ""),
        ("gcs", "DELETE", "/storage/v1/b/bucket/o/a", "DELETE", "delete", "a"),
    ],
)
def test_requests_are_named(
    wire: Wire, dialect: str, method: str, target: str, kind: str, operation: str, name: str
) -> None:
    from .wire import Request

    request = Request(f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), dialect)
    assert (request.kind, request.operation, request.name) == (kind, operation, name)


@pytest.mark.parametrize("rig", ["s3-moto", "azure-azurite", "gcs-emulator"], indirect=True)
def test_a_fault_hits_the_upload_of_one_name_on_every_provider(rig: Rig) -> None:
    from django.core.files.base import ContentFile

    storage = rig.plain()
    rig.wire.fail(403, operation="upload", name=r"^css/grün\.css$")
    storage.save("css/other.css", ContentFile(b"a{}"))
    with pytest.raises(Exception, match="403|Forbidden|AccessDenied"):
        storage.save("css/grün.css", ContentFile(b"a{}"))
    assert rig.raw_list() == ["css/other.css"]


# As a process of its own


def test_a_process_has_the_same_methods() -> None:
    server = shared(require(Moto))
    with WireProcess(server.url, latency=0.001) as wire:
        config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
        client = boto3.client("s3", endpoint_url=wire.url, region_name="us-east-1", config=config, **server.credentials)
        client.create_bucket(Bucket="wire-process")
        wire.fail(503, kind="PUT", name="^b", times=1)
        with wire.recording() as seen:
            client.put_object(Bucket="wire-process", Key="a", Body=b"x")
            with pytest.raises(ClientError, match="SlowDown"):
                client.put_object(Bucket="wire-process", Key="b", Body=b"x")
        assert seen.names("upload") == ["a", "b"]
        assert wire.counts() == {"PUT": 3}
        assert wire.summary()["hits"] == [1]
        wire.reset()
        assert wire.counts() == {}
        for key in ("a", "b"):
            client.delete_object(Bucket="wire-process", Key=key)
        client.delete_bucket(Bucket="wire-process")


def test_the_command_prints_its_port_and_takes_rules(echo: str) -> None:
    command = [sys.executable, "-m", "tests.wire", "--upstream", echo, "--latency-ms", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent) as process:
        assert process.stdout is not None
        base = f"http://127.0.0.1:{int(process.stdout.readline())}"

        def call(method: str, path: str, body: bytes | None = None) -> Any:
            with urlopen(UrlRequest(base + path, body, method=method), timeout=20) as answer:
                return json.load(answer)

        call("POST", "/__wire__/rules", json.dumps([{"action": "status", "status": 500, "times": 1}]).encode())
        with pytest.raises(Exception, match="500"):
            urlopen(base + "/x/y", timeout=20)
        assert urlopen(base + "/x/y", timeout=20).read() == b"/x/y"
        assert [entry["status"] for entry in call("GET", "/__wire__/log")["requests"]] == [500, 200]
        with pytest.raises(Exception, match="400"):
            call("POST", "/__wire__/rules", b'[{"action": "explode"}]')
        call("POST", "/__wire__/reset")
        assert call("GET", "/__wire__/counts")["total"] == 0
        process.terminate()
        assert process.wait(20) == 0
