"""The bulk engine leaves just what the storage's own ``_save`` leaves, and is set up from its configuration alone."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import re
import ssl
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore import exceptions as boto
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.core.files.base import ContentFile
from moto import mock_aws
from storages.backends.s3 import S3StaticStorage

from localmirror.backends import _obstore_setup
from localmirror.backends._flight import Flight
from localmirror.backends._obstore import ObstoreEngine
from localmirror.backends.s3 import MirroredS3StaticStorage, S3MirrorMixin
from localmirror.content import SpooledContent
from localmirror.inventory import Inventory
from localmirror.publish import Publish
from localmirror.release import ReleaseFile
from localmirror.remote import Engine, RemoteSeam
from localmirror.roles import StaticMirrorMixin

from .corpus import Project
from .deploying import assert_whole, deploy, public, succeeded
from .wire import Rule

MIB = 1 << 20

#: What rclone has no notion of: it keeps objects in a tree of directories.
only_moto = pytest.mark.parametrize("s3", ["s3-moto"], indirect=True)

#: Names whose type, encoding or spelling is a story of its own.
FILES = {
    "css/site.css": b"body { margin: 0 }\n" * 200,
    "js/app.25fd3f0aeb7a.js": b"hello();\n" * 200,
    "img/logo.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "img/photo.jpg": os.urandom(30_000),
    "LICENSE": b"as it is",
    "empty.txt": b"",
    "data.json.gz": b"\x1f\x8b not really",
    "a b+c~d!$&'()*,;=:@%20%é☃.txt": b"odd",
    "q?x=1#y[z]{w}|^`.txt": b"odder",
}


def sent_by_sdk(requests: Any) -> list[str]:
    """Return the names that boto3 has sent; it alone numbers its invocations."""
    return [r.name for r in requests if r.method in ("PUT", "POST") and "amz-sdk-invocation-id" in r.headers]


def content(name: str, data: bytes, path: Path | None = None) -> SpooledContent:
    return SpooledContent(BytesIO(data), name, str(path), len(data))


def engine_for(storage: Any) -> ObstoreEngine:
    engine = storage.bulk_engine()
    assert isinstance(engine, ObstoreEngine), engine.remarks
    return engine


def everything_about(rig: Any, name: str, *, rights: bool = False) -> dict[str, Any]:
    """Return body, headers and, where the server has them, access rights and tags of an object."""
    words = {"Bucket": rig.bucket, "Key": name}
    answer = rig.client.get_object(**words)
    told = {key: value for key, value in answer.items() if key not in ("ResponseMetadata", "Body", "LastModified")}
    told.pop("ChecksumCRC32", None), told.pop("ChecksumType", None)  # boto3's own check of the transfer
    told["Body"] = answer["Body"].read()
    if rights and rig.name == "s3-moto":
        told["Grants"] = rig.client.get_object_acl(**words)["Grants"]
        told["Tags"] = rig.client.get_object_tagging(**words)["TagSet"]
    return told


class Parameters(S3StaticStorage):
    """A storage of a project that decides by the full key."""

    def get_object_parameters(self, name: str) -> dict[str, Any]:
        given = super().get_object_parameters(name)
        return {**given, "Metadata": {"key": name}} if name.startswith("static/css/") else given


class MirroredParameters(StaticMirrorMixin, S3MirrorMixin, Parameters):
    pass


HEADERS = {
    "CacheControl": "max-age=60",
    "ContentDisposition": 'inline; filename="a.txt"',
    "ContentLanguage": "de, en",
    "StorageClass": "STANDARD_IA",
    "Metadata": {"made-by": "a test", "Owner": "Somebody"},
}

CARRIED: dict[str, dict[str, Any]] = {
    "plain": {},
    "headers": {"object_parameters": HEADERS},
    "type": {"object_parameters": {"ContentType": "text/x-mine; charset=utf-8"}},
    "encoding": {"object_parameters": {"ContentEncoding": "identity"}, "gzip": True},
    "gzip": {"gzip": True},
    "gzip some": {"gzip": True, "gzip_content_types": ["image/svg+xml"], "object_parameters": HEADERS},
    "location": {"location": "static"},
    "no immutable": {"mirror_immutable_cache_control": None, "object_parameters": {"CacheControl": "no-cache"}},
}
NOT_CARRIED: dict[str, dict[str, Any]] = {
    "acl": {"default_acl": "public-read"},
    "tags": {"object_parameters": {"Tagging": "a=b"}},
    "encryption": {"object_parameters": {"ServerSideEncryption": "AES256"}},
    "redirect": {"object_parameters": {"WebsiteRedirectLocation": "/elsewhere"}},
    "spaces": {"object_parameters": {"ContentDisposition": "inline;  filename=a"}},
    "metadata": {"object_parameters": {"Metadata": {"content-type": "a"}}},
}


@pytest.mark.parametrize("options", [*CARRIED, *NOT_CARRIED])
def test_leaves_the_object_that_save_leaves(s3: Any, options: str) -> None:
    storage = s3.storage("static", **(CARRIED | NOT_CARRIED)[options])
    engine = engine_for(storage)
    for name, data in FILES.items():
        for immutable in (False, True):
            key = storage._normalize_name(name)
            RemoteSeam.upload(storage, name, content(name, data), immutable=immutable)
            own = everything_about(s3, key, rights=True)
            s3.raw_delete(key)
            with s3.wire.recording() as seen:
                uploaded = engine.upload(name, content(name, data), immutable=immutable)
            assert everything_about(s3, key, rights=True) == own
            assert seen.counts() == {"PUT": 1}
            assert bool(sent_by_sdk(seen)) is (options in NOT_CARRIED)
            assert uploaded.name == name
            if options in CARRIED:
                assert uploaded.etag == own["ETag"].strip('"')
    assert len(engine.remarks) == (options in NOT_CARRIED)


def test_parameters_may_depend_on_the_full_key(s3: Any) -> None:
    options = s3.options("static", location="static")
    storage = MirroredParameters(mirror_location=str(s3.mirror), **options)
    engine_for(storage).upload("css/a.css", content("css/a.css", b"a{}"), immutable=False)
    assert list(everything_about(s3, "static/css/a.css")["Metadata"].values()) == ["static/css/a.css"]


@pytest.mark.parametrize(("size", "gzip"), [(5 * MIB - 1, False), (5 * MIB, False), (13 * MIB, False), (6 * MIB, True)])
def test_large_files_go_in_the_parts_that_save_would_send(s3: Any, tmp_path: Path, size: int, gzip: bool) -> None:
    transfers = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    send_in_parts(s3, tmp_path, size, gzip, transfers, -(-size // (5 * MIB)))


@only_moto
@pytest.mark.parametrize("size", [2 * MIB, 6 * MIB])
def test_parts_are_as_large_as_s3_demands(s3: Any, tmp_path: Path, size: int) -> None:
    transfers = TransferConfig(multipart_threshold=MIB, multipart_chunksize=MIB)
    send_in_parts(s3, tmp_path, size, False, transfers, -(-size // (5 * MIB)))


def send_in_parts(s3: Any, tmp_path: Path, size: int, gzip: bool, transfers: TransferConfig, parts: int) -> None:
    """Send a file as ``_save`` does, and through the engine; compare."""
    storage = s3.storage("static", transfer_config=transfers, gzip=gzip)
    name = "large.css" if gzip else "large.bin"
    data = os.urandom(size)
    RemoteSeam.upload(storage, name, content(name, data), immutable=True)
    own = everything_about(s3, name)
    s3.raw_delete(name)
    file = tmp_path / "large"
    file.write_bytes(data)
    with s3.wire.recording() as seen, open(file, "rb") as opened:
        engine_for(storage).upload(name, SpooledContent(opened, name, str(file), size), immutable=True)
    found = everything_about(s3, name)
    assert found == own
    assert bool(sent_by_sdk(seen)) is gzip
    assert seen.counts()["PUT"] == parts


def test_a_part_that_fails_leaves_nothing_behind(s3: Any, tmp_path: Path) -> None:
    storage = s3.storage(
        "static",
        transfer_config=TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB),
        client_config=quick_config(),
    )
    s3.wire.fail(403, match=lambda request: request.query.get("partNumber") == "2")
    with pytest.raises(boto.ClientError, match="AccessDenied"):
        engine_for(storage).upload("large.bin", content("large.bin", os.urandom(12 * MIB)), immutable=False)
    assert s3.raw_list() == []
    assert not s3.client.list_multipart_uploads(Bucket=s3.bucket).get("Uploads")


def test_content_that_says_its_type_is_stored_as_it_says(s3: Any) -> None:
    storage = s3.storage("static", gzip=True)
    file = content("site", b"a{}" * 100)
    file.content_type = "text/css"
    engine_for(storage).upload("site", file, immutable=False)
    told = everything_about(s3, "site")
    assert (told["ContentType"], told["ContentEncoding"]) == ("text/css", "gzip")


@only_moto
def test_names_that_obstore_refuses_go_the_storages_way(s3: Any) -> None:
    name = "a\x7fb.txt"
    engine = engine_for(s3.storage("static"))
    engine.upload(name, content(name, b"x"), immutable=False)
    assert s3.client.head_object(Bucket=s3.bucket, Key=name)["ContentLength"] == 1
    assert "obstore would change or refuse names" in engine.remarks[0]


def test_metadata_that_fits_into_no_header_is_left_to_the_sdk(s3: Any) -> None:
    engine = engine_for(s3.storage("static", object_parameters={"Metadata": {"made by": "a test"}}))
    with contextlib.suppress(boto.ClientError):  # some servers refuse such a header; obstore itself panics
        engine.upload("a.css", content("a.css", b"a{}"), immutable=False)
    assert "obstore has no word for some key of metadata" in engine.remarks[0]


# -- listing and deleting ---------------------------------------------------------------------------------------------


def listed(files: Iterator[Any]) -> list[tuple[Any, ...]]:
    return [(f.name, f.size, f.md5, f.etag, f.modified) for f in files]


@pytest.mark.parametrize("location", ["", "static", "stat"])
def test_lists_what_the_sdk_lists(s3: Any, location: str) -> None:
    for name in ["a.css", "static/a.css", "static/deep/ü ☃.css", "static/deep.css", "static/empty.txt", "stati/c"]:
        s3.raw_put(name, b"" if "empty" in name else name.encode())
    storage = s3.storage("static", location=location)
    for prefix in ("", "deep/", "static/", "missing/"):
        with s3.wire.recording() as seen:
            found = listed(engine_for(storage).remote_files(prefix))
        assert found == listed(storage.remote_files(prefix))
        assert seen.counts() == {"LIST": 1}
    after = listed(engine_for(storage).remote_files(after="deep.css"))
    assert after == listed(storage.remote_files(after="deep.css"))
    assert all(name > "deep.css" for name, *_ in after)


@only_moto
def test_lists_page_by_page(s3: Any) -> None:
    names = [f"{number:04}.txt" for number in range(1001)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: s3.raw_put(name, b"x"), names))
    files = engine_for(s3.storage("static")).remote_files()
    first = next(files)
    assert s3.wire.requests.counts() == {"LIST": 1}
    assert [first.name, *(file.name for file in files)] == names
    assert s3.wire.requests.counts() == {"LIST": 2}


@only_moto
def test_a_foreign_key_that_obstore_refuses_is_no_obstacle(s3: Any) -> None:
    for name in ["a.css", "b//c.css", "d/../e.css", "z.css"]:
        s3.raw_put(name, b"x")
    engine = engine_for(s3.storage("static"))
    assert {file.name for file in engine.remote_files()} == {"a.css", "b//c.css", "d/../e.css", "z.css"}
    assert "lists what it has itself: obstore refuses to list the name 'b//c.css'." in engine.remarks[0]


@pytest.mark.parametrize("engine", ["auto", "storage"])
@pytest.mark.parametrize("fault", [None, 403])
@only_moto
def test_a_key_with_a_leading_slash_is_another_file(s3: Any, tmp_path: Path, engine: str, fault: int | None) -> None:
    project = Project.make(tmp_path, s3)
    project.set_options(mirror_engine=engine)
    for name, content in project.corpus.contents().items():
        s3.raw_put(f"/{name}", content)
    if fault:
        s3.wire.add(Rule("status", status=fault, code="AccessDenied", match=lambda r: r.query.get("prefix") == "/"))

    deployed = deploy(s3, project, verbosity=2)

    if fault and engine == "auto":
        assert "Names that begin with a slash may not be listed" in deployed.output
    else:
        succeeded(deployed)
        assert public(s3).items() >= project.corpus.contents().items()
        assert_whole(s3)


@only_moto
def test_what_may_be_the_marker_of_a_directory_is_doubtful(s3: Any) -> None:
    for name in ("css/", "VERSION", "both/", "both", "empty.txt", "a", "css/a.css"):
        s3.raw_put(name, b"" if name in ("css/", "VERSION", "both/", "empty.txt") else b"x")
    engine = engine_for(s3.storage("static"))
    told = sorted((file.name, file.doubtful) for file in engine.remote_files())
    clear = [("a", False), ("both", False), ("css/a.css", False), ("empty.txt", False)]
    assert told == sorted([*clear, ("VERSION", True), ("both", True), ("css", True)])
    inventory = Inventory(lambda begin: engine.remote_files(after=begin), can_jump=True)
    inventory.start()
    assert sorted(inventory.wait()) == [name for name, _ in clear]
    names = ("VERSION", "css", "both", "a", "missing")
    assert [inventory.speaks_of(name) for name in names] == [False, False, True, True, True]


@only_moto
def test_an_empty_file_that_exists_is_neither_sent_again_nor_early(s3: Any, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3, more=3)
    project.corpus.write("VERSION", b"")
    assert project.run("collectstatic", "--no-input").returncode == 0
    with s3.wire.recording() as seen:
        result = project.run("collectstatic", "--no-input")
    assert " 0 uploaded (0 B)," in result.last_line
    assert seen.counts() == {"LIST": 1, "HEAD": 1}

    storage = s3.storage("static", mirror_workers=1)
    publish = Publish(storage)
    publish.begin()
    for name in ("VERSION", "new.css"):
        path = Path(storage.mirror.path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"2")
        file = ReleaseFile(name, 1, hashlib.md5(b"2").hexdigest(), immutable=False, original=False)
        publish.offer(file)
    for _ in range(1000):
        publish.offer(file)
        if "new.css" in s3.raw_list():
            break
        threading.Event().wait(0.01)
    publish.abandon()
    assert s3.raw_get("new.css") == b"2"
    assert s3.raw_get("VERSION") == b""


def test_deletes_what_is_there_and_does_not_miss_the_rest(s3: Any) -> None:
    for name in ("static/a.css", "static/b ü.css", "b ü.css", "static/c.css"):
        s3.raw_put(name, b"x")
    engine = engine_for(s3.storage("static", location="static"))
    with s3.wire.recording() as seen:
        engine.delete_many(["a.css", "b ü.css", "missing.css"])
    assert s3.raw_list() == ["b ü.css", "static/c.css"]
    assert seen.counts() == {"POST": 1}


# -- what it is set up from -------------------------------------------------------------------------------------------


def quick_config(attempts: int = 3, **options: Any) -> Config:
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        retries={"total_max_attempts": attempts, "mode": "standard"},
        **options,
    )


POISON = {
    **{f"AWS_{name}": "poison" for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "TOKEN", "PROFILE")},
    **{f"AWS_{name}": "http://127.0.0.1:1" for name in ("ENDPOINT", "ENDPOINT_URL", "ENDPOINT_URL_S3", "STS_ENDPOINT")},
    **{f"AWS_{name}": "true" for name in ("SKIP_SIGNATURE", "UNSIGNED_PAYLOAD", "REQUEST_PAYER", "S3_EXPRESS")},
    **{f"AWS_{name}": "1ms" for name in ("TIMEOUT", "CONNECT_TIMEOUT", "READ_TIMEOUT", "POOL_IDLE_TIMEOUT")},
    "AWS_REGION": "poison-1",
    "AWS_DEFAULT_REGION": "poison-2",
    "AWS_BUCKET": "poison",
    "AWS_BUCKET_NAME": "poison",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
    "AWS_DISABLE_BULK_DELETE": "true",
    "AWS_ALLOW_HTTP": "false",
    "AWS_USER_AGENT": "poison",
    "AWS_PROXY_URL": "http://127.0.0.1:1",
    "AWS_DEFAULT_CONTENT_TYPE": "poison/poison",
    "AWS_SSE_BUCKET_KEY_ENABLED": "true",
    "AWS_SSE_CUSTOMER_KEY_BASE64": "cG9pc29u",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/poison",
    "AWS_ROLE_ARN": "poison",
    "ALL_PROXY": "http://127.0.0.1:1",
    "all_proxy": "http://127.0.0.1:1",
}


def exchange(rig: Any, engine: Engine) -> list[dict[str, Any]]:
    """Let *engine* do one of each, and return what went over the wire, the signatures apart."""
    with rig.wire.recording() as seen:
        engine.upload("a.css", content("a.css", b"a{}"), immutable=False)
        assert [file.name for file in engine.remote_files()] == ["a.css"]
        engine.delete_many(["a.css"])
    changing = ("x-amz-date", "authorization")
    return [
        {
            "target": request.target,
            "scope": request.headers["authorization"].partition(" Credential=")[2].partition("/aws4_request")[0][-30:],
            "key": request.headers["authorization"].partition(" Credential=")[2].partition("/")[0],
            **{name: value for name, value in request.headers.items() if name not in changing},
        }
        for request in seen
    ]


def test_follows_no_variable_of_the_environment(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = s3.storage("static", security_token=None)
    clean = exchange(s3, engine_for(storage))  # boto3 has read the environment by now, as it may
    for name, value in POISON.items():
        monkeypatch.setenv(name, value)
    assert exchange(s3, engine_for(storage)) == clean


@pytest.mark.parametrize("name", ["AWS_SERVER_SIDE_ENCRYPTION", "AWS_CHECKSUM_ALGORITHM"])
def test_stands_back_where_the_environment_would_overrule_it(
    s3: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "sha256")
    engine = s3.storage("static").bulk_engine()
    assert type(engine) is Engine
    assert name in engine.remarks[0]


def keys_on_the_wire(rig: Any, storage: Any) -> tuple[str, str | None]:
    with rig.wire.recording() as seen:
        engine_for(storage).upload("a.css", content("a.css", b"a{}"), immutable=False)
    assert not sent_by_sdk(seen)
    (request,) = seen
    key = request.headers["authorization"].partition(" Credential=")[2].partition("/")[0]
    return key, request.headers.get("x-amz-security-token")


@only_moto
class TestCredentials:
    def test_of_the_options(self, s3: Any) -> None:
        storage = s3.storage("static", access_key="mine", secret_key="secret", security_token="token")
        assert keys_on_the_wire(s3, storage) == ("mine", "token")

    def test_of_a_profile(self, s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "credentials"
        file.write_text("[site]\naws_access_key_id = profiled\naws_secret_access_key = secret\n")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
        storage = s3.storage("static", access_key=None, secret_key=None, session_profile="site")
        assert keys_on_the_wire(s3, storage) == ("profiled", None)

    def test_of_the_environment_as_boto3_reads_it(self, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ambient")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        storage = s3.storage("static", access_key=None, secret_key=None)
        assert keys_on_the_wire(s3, storage) == ("ambient", None)

    def test_that_are_renewed(self, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_obstore_setup, "CREDENTIALS_SECONDS", 0)
        storage = Renewing(mirror_location=str(s3.mirror), **s3.options("static"))
        engine = engine_for(storage)
        with s3.wire.recording() as seen:
            for name in ("a.css", "b.css"):
                engine.upload(name, content(name, b"a{}"), immutable=False)
                threading.Event().wait(0.2)  # obstore asks no oftener than ten times a second
        first, second = (int(request.headers["x-amz-security-token"]) for request in seen)
        assert second > first

    def test_that_cannot_be_had(self, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        storage = Renewing(mirror_location=str(s3.mirror), **s3.options("static"))
        engine = engine_for(storage)
        storage.broken = True
        monkeypatch.setattr(_obstore_setup, "CREDENTIALS_SECONDS", 0)
        with pytest.raises(boto.CredentialRetrievalError) as caught:
            engine.upload("a.css", content("a.css", b"a{}"), immutable=False)
        assert storage.is_fatal(caught.value)

    def test_that_are_missing(self, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
        storage = s3.storage("static", access_key=None, secret_key=None)
        with pytest.raises(boto.NoCredentialsError):
            storage.bulk_engine()


class Renewing(MirroredS3StaticStorage):
    """A storage whose credentials are for a moment only, as those of an assumed role are for an hour."""

    renewed = 0
    broken = False

    def _create_session(self) -> boto3.Session:
        def renew() -> dict[str, str]:
            if self.broken:
                raise boto.CredentialRetrievalError(provider="a test", error_msg="no")
            self.renewed += 1
            soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()  # botocore renews them at once then
            keys = {"access_key": "renewed", "secret_key": "secret", "token": str(self.renewed)}
            return {**keys, "expiry_time": soon}

        inner = botocore.session.get_session()
        inner._credentials = RefreshableCredentials.create_from_metadata(renew(), renew, "test")
        return boto3.Session(botocore_session=inner)


# -- where it connects to ---------------------------------------------------------------------------------------------


class Answering(ThreadingHTTPServer):
    """Answers every request as a bucket would, be it the server, a proxy or in another region; remembers all."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None, region: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.region = region
        self.address = f"{'https' if context else 'http'}://127.0.0.1:{self.server_port}"
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that trust nobody hang up."""


class _Answer(BaseHTTPRequestHandler):
    server: Answering
    protocol_version = "HTTP/1.1"  # else nobody tells boto3 to go on, which waits for that

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Transfer-Encoding") == "chunked":  # boto3's way over TLS
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        self.server.seen.append((f"{self.command} {self.path}", {k.lower(): v for k, v in self.headers.items()}))
        wrong = self.server.region and f"/{self.server.region}/s3/" not in self.headers.get("Authorization", "")
        body = b"<ListBucketResult></ListBucketResult>" if self.command == "GET" else b""
        if wrong:
            body = b"<Error><Code>PermanentRedirect</Code><Bucket>site</Bucket></Error>"
        self.send_response(301 if wrong else 200)
        self.send_header("ETag", '"0cc175b9c0f1b6a831c399e269772661"')
        self.send_header("x-amz-bucket-region", self.server.region or "us-east-1")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = answer

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def answering() -> Iterator[Callable[..., Answering]]:
    with contextlib.ExitStack() as stack:

        def start(**options: Any) -> Answering:
            server = stack.enter_context(Answering(**options))
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(server.shutdown)
            return server

        yield start


def static_storage(tmp_path: Path, **options: Any) -> MirroredS3StaticStorage:
    words = {"access_key": "key", "secret_key": "secret", "bucket_name": "site", "mirror_location": str(tmp_path)}
    return MirroredS3StaticStorage(**{**words, **options})


ADDRESSES: dict[str, dict[str, Any]] = {
    "region": {"region_name": "eu-central-1"},
    "no region": {},
    "virtual": {"region_name": "eu-west-1", "addressing_style": "virtual"},
    "path": {"region_name": "eu-west-1", "addressing_style": "path"},
    "dots": {"region_name": "eu-west-1", "bucket_name": "files.example.com"},
    "endpoint": {"endpoint_url": "http://objects.example.com", "region_name": "auto"},
    "endpoint with a path": {"endpoint_url": "http://objects.example.com:8080/s3/", "addressing_style": "path"},
    "endpoint, virtual": {"endpoint_url": "http://objects.example.com", "addressing_style": "virtual"},
    "accelerated": {"client_config": Config(s3={"use_accelerate_endpoint": True}), "region_name": "eu-west-1"},
    "dual stack": {"client_config": Config(s3={"use_dualstack_endpoint": True}), "region_name": "eu-west-1"},
    "user agent": {"client_config": Config(user_agent_extra="mine/1"), "region_name": "eu-west-1"},
    "legacy": {"client_config": Config(retries={"mode": "legacy"}), "region_name": "eu-west-1"},
}


@pytest.mark.parametrize("case", ADDRESSES)
def test_sends_where_boto3_sends(tmp_path: Path, answering: Any, case: str) -> None:
    """Both speak to the same proxy, so that any host can be asked for."""
    proxy = answering()
    options = dict(ADDRESSES[case])
    config = options.pop("client_config", Config())
    style = {"s3": {"addressing_style": options.pop("addressing_style", "auto"), **(config.s3 or {})}}
    config = config.merge(Config(proxies={"http": proxy.address}, signature_version="s3v4", **style))
    storage = static_storage(tmp_path, use_ssl=False, client_config=config, location="static", **options)
    engine = engine_for(storage)
    for way in (storage, engine):
        way.upload("ü/a b.css", content("ü/a b.css", b"a{}"), immutable=False)
        list(way.remote_files())
    told = [
        (
            target.partition("?")[0],
            headers["host"],
            re.sub(r"/\d{8}/", "/", headers["authorization"].partition(",")[0]),
            re.sub(r"\bm/\S+", "", headers["user-agent"]),
        )
        for target, headers in proxy.seen
    ]
    assert len(told) == 4
    assert told[2:] == told[:2]
    assert "amz-sdk-invocation-id" in proxy.seen[1][1]
    assert "amz-sdk-invocation-id" not in proxy.seen[2][1]


def test_follows_the_bucket_into_its_region_as_boto3_does(tmp_path: Path, answering: Any) -> None:
    server = answering(region="eu-central-1")
    config = Config(proxies={"http": server.address}, signature_version="s3v4")
    storage = static_storage(tmp_path, use_ssl=False, client_config=config, region_name="us-east-1")
    engine = engine_for(storage)
    assert list(engine.remote_files()) == []
    server.seen.clear()
    for name in ("a.css", "b.css"):
        engine.upload(name, content(name, b"a{}"), immutable=False)
    assert len(server.seen) == 2
    assert not any("amz-sdk-invocation-id" in headers for _, headers in server.seen)


@pytest.mark.parametrize(
    ("variables", "proxied"),
    [
        ({"HTTP_PROXY": "{}"}, True),
        ({"http_proxy": "{}"}, True),
        ({"HTTP_PROXY": "{}", "NO_PROXY": "127.0.0.1"}, False),
        ({"HTTPS_PROXY": "{}"}, False),
        ({"ALL_PROXY": "{}"}, False),
    ],
)
def test_takes_the_proxy_that_boto3_takes(
    tmp_path: Path, answering: Any, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], proxied: bool
) -> None:
    server, proxy = answering(), answering()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(proxy.address))
    storage = static_storage(tmp_path, endpoint_url=server.address)
    for way in (storage, engine_for(storage)):
        list(way.remote_files())
    assert [len(server.seen), len(proxy.seen)] == ([0, 2] if proxied else [2, 0])


def test_takes_a_proxy_with_a_password(tmp_path: Path, answering: Any) -> None:
    server, proxy = answering(), answering()
    config = Config(proxies={"http": proxy.address.replace("//", "//me:s%3Acret@")})
    storage = static_storage(tmp_path, endpoint_url=server.address, client_config=config)
    for way in (storage, engine_for(storage)):
        list(way.remote_files())
    first, second = (headers["proxy-authorization"] for _, headers in proxy.seen)
    assert first == second


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ssl.SSLContext]:
    """Return the certificate of an authority of the tests, and a server's context with one that it has signed."""
    directory = tmp_path_factory.mktemp("tls")
    now = datetime.now(UTC)

    def certificate(common: str, issuer: str, signer: Any, public: Any, extension: Any) -> x509.Certificate:
        name, by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (common, issuer))
        builder = x509.CertificateBuilder(by, name, public, x509.random_serial_number(), now, now + timedelta(days=1))
        return builder.add_extension(extension, critical=False).sign(signer, hashes.SHA256())

    root, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = certificate("ca", "ca", root, root.public_key(), x509.BasicConstraints(True, None))
    host = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    leaf = certificate("server", "ca", root, key.public_key(), host)
    builder = x509.CertificateBuilder(ca.subject, ca.subject, root.public_key(), 7, now, now + timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True).add_extension(host, False)
    own = builder.sign(root, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (directory / "ca.pem").write_bytes(ca.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (directory / "server.pem").write_bytes(leaf.public_bytes(pem) + private)
    private = root.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (directory / "own.pem").write_bytes(own.public_bytes(pem) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem")
    return str(directory / "ca.pem"), context


@pytest.mark.parametrize("how", ["option", "variable", "off", "default"])
def test_trusts_whom_boto3_trusts(
    tmp_path: Path, answering: Any, authority: Any, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    bundle, context = authority
    server = answering(context=context)
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")  # a system without certificates, as in a slim image
    if how == "variable":
        monkeypatch.setenv("AWS_CA_BUNDLE", bundle)
    options = {"option": {"verify": bundle}, "off": {"verify": False}}.get(how, {})
    quick = Config(retries={"total_max_attempts": 1})
    storage = static_storage(tmp_path, endpoint_url=server.address, client_config=quick, **options)
    for way in (storage, engine_for(storage)):
        if how == "default":
            with pytest.raises(boto.SSLError):
                list(way.remote_files())
        else:
            list(way.remote_files())
    assert len(server.seen) == (0 if how == "default" else 2)


@pytest.mark.parametrize("act", ["list", "upload"])
def test_a_certificate_that_boto3_accepts_and_obstore_does_not_is_no_obstacle(
    tmp_path: Path, answering: Any, authority: Any, act: str
) -> None:
    """OpenSSL lets an authority's own certificate stand for a server, as that of many a server at home does."""
    bundle, _ = authority
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(bundle).with_name("own.pem"))
    server = answering(context=context)
    options = {"endpoint_url": server.address, "verify": str(Path(bundle).with_name("own.pem"))}
    engine = engine_for(static_storage(tmp_path, **options))
    for name in ("a.css", "b.css"):
        engine.upload(name, content(name, b"a{}"), immutable=False) if act == "upload" else list(engine.remote_files())
    assert all("amz-sdk-invocation-id" in headers for _, headers in server.seen)
    assert "do not agree on a connection" in engine.remarks[0]


@pytest.mark.parametrize("case", ["nobody listens", "refuses", "https", "https, refuses"])
def test_what_is_wrong_with_a_proxy_is_told_by_boto3(tmp_path: Path, answering: Any, case: str) -> None:
    proxy = answering().address if "refuses" in case else "http://127.0.0.1:1"
    url = "https://s3.invalid" if "https" in case else "http://s3.invalid"
    proxies = {scheme: proxy.replace("//", "//me:PaSsWoRd@") for scheme in ("http", "https")}
    if case == "refuses":
        proxies = {"http": proxy.replace("http:", "https:")}
    quick = Config(retries={"total_max_attempts": 1}, proxies=proxies)
    storage = static_storage(tmp_path, endpoint_url=url, client_config=quick)
    told = []
    for way in (storage, engine_for(storage)):
        with pytest.raises((boto.BotoCoreError, boto.ClientError)) as caught:
            list(way.remote_files())
        assert storage.is_fatal(caught.value)
        told.append((type(caught.value), storage.describe_error(caught.value).partition("?")[0]))
    assert told[0] == told[1]
    assert "PaSsWoRd" not in str(told)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_trusts_nobody_whom_the_environment_names_to_others(
    tmp_path: Path, answering: Any, authority: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    bundle, context = authority
    server = answering(context=context)
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(name, bundle if name == "SSL_CERT_FILE" else str(Path(bundle).parent))
    quick = Config(retries={"total_max_attempts": 1})
    engine = static_storage(tmp_path, endpoint_url=server.address, client_config=quick).bulk_engine()
    with pytest.raises(boto.SSLError):
        list(engine.remote_files())
    assert name in engine.remarks[0]


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_certificates_of_the_environment_may_be_those_of_the_system_or_of_boto3(
    tmp_path: Path, answering: Any, authority: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    bundle, context = authority
    server = answering(context=context)
    monkeypatch.setenv(name, bundle if name == "SSL_CERT_FILE" else "/etc/ssl/certs")
    list(engine_for(static_storage(tmp_path, endpoint_url=server.address, verify=bundle)).remote_files())
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    list(engine_for(static_storage(tmp_path, endpoint_url=server.address, verify=False)).remote_files())
    assert len(server.seen) == 2


@pytest.mark.parametrize("name", ["garbage", "missing"])
def test_certificates_that_cannot_be_read_are_the_sdks_to_complain_of(
    tmp_path: Path, answering: Any, name: str
) -> None:
    server = answering()
    (tmp_path / "garbage").write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    url = server.address.replace("http:", "https:")
    engine = static_storage(tmp_path, endpoint_url=url, verify=str(tmp_path / name)).bulk_engine()
    assert type(engine) is Engine
    assert len(engine.remarks) == 1


def test_waits_as_long_as_boto3_waits_for_an_answer(s3: Any) -> None:
    storage = s3.storage("static", client_config=quick_config(attempts=1, read_timeout=1))
    s3.wire.delay(8, kind="LIST")
    with pytest.raises(boto.ReadTimeoutError):
        list(engine_for(storage).remote_files())


def test_is_patient_with_a_slow_line(s3: Any) -> None:
    storage = s3.storage("static", client_config=quick_config(attempts=1, read_timeout=1))
    s3.wire.delay(3, kind="PUT")
    assert engine_for(storage).upload("a.css", content("a.css", b"a{}"), immutable=False).etag


# -- errors -----------------------------------------------------------------------------------------------------------


@only_moto
@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 503}, {"status": 429}, "cut", "refuse", "lose"])
@pytest.mark.parametrize("method", ["PUT", "GET", "POST"])
def test_tries_again_after_what_passes(s3: Any, fault: Any, method: str) -> None:
    storage = s3.storage("static", client_config=quick_config())
    engine = engine_for(storage)
    rule = Rule("status", times=2, method=method, **fault) if isinstance(fault, dict) else Rule(fault, times=2)
    s3.wire.add(rule)
    act(engine, method)
    assert rule.hits == 2


def act(engine: Engine, method: str) -> None:
    if method == "PUT":
        engine.upload("a.css", content("a.css", b"a{}"), immutable=False)
    elif method == "GET":
        list(engine.remote_files())
    else:
        engine.delete_many(["a.css"])


@only_moto
@pytest.mark.parametrize("method", ["PUT", "GET", "POST"])
@pytest.mark.parametrize("status", [403, 404, 409, 412])
def test_asks_once_where_it_is_refused(s3: Any, status: int, method: str) -> None:
    storage = s3.storage("static", client_config=quick_config())
    s3.wire.fail(status, method=method, code="Refused")
    with s3.wire.recording() as seen, pytest.raises(boto.ClientError) as caught:
        act(engine_for(storage), method)
    assert len(seen) == 1
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert storage.describe_error(caught.value).endswith("operation: Refused injected for a test")
    assert not storage.is_missing(caught.value)
    assert not storage.is_unavailable(caught.value)


@only_moto
@pytest.mark.parametrize("status", [400, 501])
def test_leaves_it_to_the_sdk_where_a_server_does_not_understand(s3: Any, status: int) -> None:
    """A bucket with Object Lock, for one, wants the checksum that boto3 sends and obstore does not."""
    engine = engine_for(s3.storage("static", client_config=quick_config(attempts=1)))
    by_obstore = Rule(
        "status",
        status=status,
        code="InvalidRequest",
        match=lambda request: request.method == "PUT" and "amz-sdk-invocation-id" not in request.headers,
    )
    s3.wire.add(by_obstore)
    for name in ("a.css", "b.css"):
        engine.upload(name, content(name, b"a{}"), immutable=False)
    assert s3.raw_list() == ["a.css", "b.css"]
    assert by_obstore.hits == 1
    assert "obstore was answered InvalidRequest" in engine.remarks[0]


@only_moto
def test_is_told_by_the_sdk_what_the_server_did_not_understand(s3: Any) -> None:
    s3.wire.fail(400, method="PUT", code="InvalidRequest")
    with pytest.raises(boto.ClientError, match="InvalidRequest injected for a test"):
        act(engine_for(s3.storage("static")), "PUT")


def test_gives_up_in_the_end(s3: Any) -> None:
    storage = s3.storage("static", client_config=quick_config())
    s3.wire.fail(503, method="PUT")
    with s3.wire.recording() as seen, pytest.raises(boto.ClientError) as caught:
        act(engine_for(storage), "PUT")
    assert len(seen) == 3
    assert storage.is_unavailable(caught.value)


FATAL: dict[str, dict[str, Any]] = {
    "no such bucket": {"bucket_name": "nowhere"},
    "wrong key": {"access_key": "someone-else"},
    "wrong secret": {"secret_key": "not-the-secret"},
    "nobody listens": {"endpoint_url": "http://127.0.0.1:1"},
    "no such host": {"endpoint_url": "http://nowhere.invalid"},
}


@pytest.mark.parametrize("s3", ["s3-rclone"], indirect=True)
@pytest.mark.parametrize("method", ["PUT", "GET"])
@pytest.mark.parametrize("case", FATAL)
def test_what_hits_every_file_is_fatal_and_told_in_one_sentence(s3: Any, case: str, method: str) -> None:
    storage = s3.storage("static", client_config=quick_config(), **FATAL[case])
    with pytest.raises((boto.ClientError, boto.BotoCoreError)) as caught:
        act(engine_for(storage), method)
    told = storage.describe_error(caught.value)
    assert storage.is_fatal(caught.value)
    assert not storage.is_missing(caught.value)
    assert "\n" not in told
    assert len(told) < 200


def test_no_error_shows_a_credential(s3: Any) -> None:
    secrets = {"access_key": "AKIAXXMYKEYXX", "secret_key": "XXmysecretXX", "security_token": "XXmytokenXX"}
    storage = s3.storage("static", client_config=quick_config(), **secrets)
    rules = [Rule("status", status=403), Rule("status", status=500), Rule("refuse"), Rule("status", status=404)]
    engine = engine_for(storage)
    for rule in rules:
        s3.wire.rules[:] = [rule]
        for method in ("PUT", "GET", "POST"):
            with pytest.raises((boto.ClientError, boto.BotoCoreError)) as caught:
                act(engine, method)
            printed = "".join(traceback.format_exception(caught.value))
            assert not [secret for secret in secrets.values() if secret in printed]
            assert "Debug source" not in printed
    assert not [secret for secret in secrets.values() if secret in repr(engine.__dict__)]


# -- when the storage does it itself ----------------------------------------------------------------------------------


class SavesItself(S3StaticStorage):
    def _save(self, name: str, content: Any) -> str:
        content.seek(0)
        return str(super()._save(name, ContentFile(content.read().upper())))


class MirroredSavesItself(StaticMirrorMixin, S3MirrorMixin, SavesItself):
    pass


class UploadsItself(MirroredS3StaticStorage):
    def upload(self, name: str, file: Any, *, immutable: bool) -> Any:
        return super().upload(name, ContentFile(file.read().upper(), name), immutable=immutable)


class ConnectsItself(MirroredS3StaticStorage):
    @property
    def connection(self) -> Any:
        connection = super().connection
        connection.meta.client.meta.events.register("before-sign.s3", add_header)
        return connection


class Listens(MirroredS3StaticStorage):
    def _create_session(self) -> Any:
        session = super()._create_session()
        session.events.register("before-sign.s3", add_header)
        return session


def add_header(request: Any, **_: Any) -> None:
    request.headers["x-amz-meta-added"] = "by a hook"


@pytest.mark.parametrize("cls", [MirroredSavesItself, UploadsItself])
def test_what_a_project_overrides_is_called(s3: Any, cls: Any) -> None:
    storage = cls(mirror_location=str(s3.mirror), **s3.options("static"))
    engine = storage.bulk_engine()
    engine.upload("a.css", content("a.css", b"a{}"), immutable=True)
    assert s3.raw_get("a.css") == b"A{}"
    assert "overrides how files are saved" in engine.remarks[0]


@pytest.mark.parametrize("cls", [ConnectsItself, Listens])
def test_what_a_project_adds_to_requests_is_added(s3: Any, cls: Any) -> None:
    storage = cls(mirror_location=str(s3.mirror), **s3.options("static"))
    engine = storage.bulk_engine()
    engine.upload("a.css", content("a.css", b"a{}"), immutable=True)
    assert list(everything_about(s3, "a.css")["Metadata"].values()) == ["by a hook"]
    assert len(engine.remarks) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"client_config": Config(signature_version="s3", s3={"addressing_style": "path"})},
        {"client_config": Config(signature_version=UNSIGNED, s3={"addressing_style": "path"})},
        {"client_config": Config(client_cert="/a.pem")},
        {"client_config": Config(proxies_config={"proxy_ca_bundle": "/a.pem"})},
        {"bucket_name": "site--use1-az4--x-s3"},
        {"client_config": Config(read_timeout=None)},
        {"client_config": Config(connect_timeout=None)},
    ],
    ids=["signature 2", "unsigned", "client certificate", "proxies_config", "express", "read", "connect"],
)
def test_stands_back_where_boto3_does_what_it_cannot(tmp_path: Path, options: dict[str, Any]) -> None:
    engine = static_storage(tmp_path, region_name="us-east-1", **options).bulk_engine()
    assert type(engine) is Engine
    assert len(engine.remarks) == 1


def test_stays_inside_the_mocks_of_moto(tmp_path: Path) -> None:
    with mock_aws():
        storage = static_storage(tmp_path, region_name="us-east-1")
        storage._client.create_bucket(Bucket="site")
        engine = storage.bulk_engine()
        engine.upload("a.css", content("a.css", b"a{}"), immutable=True)
        assert [file.name for file in storage.remote_files()] == ["a.css"]
    assert type(engine) is Engine


def test_a_child_of_a_process_that_has_used_obstore_does_without(s3: Any) -> None:
    storage = s3.storage("static")
    act(engine_for(storage), "PUT")

    def child(pipe: Any) -> None:
        engine = storage.bulk_engine()
        act(engine, "PUT")
        pipe.send((type(engine) is Engine, engine.remarks, [file.name for file in engine.remote_files()]))

    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=child, args=(there,))
    process.start()
    assert here.poll(60)
    plain, remarks, names = here.recv()
    process.join()
    assert plain
    assert "forked" in remarks[0]
    assert names == ["a.css"]


# -- in a project -----------------------------------------------------------------------------------------------------


def test_only_a_publish_imports_it(s3: Any, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3, more=3)
    result = project.run("collectstatic", "--no-input")
    assert result.returncode == 0, result
    result = project.python(
        "import sys\n"
        "from django.contrib.staticfiles.storage import staticfiles_storage as storage\n"
        "from django.core.files.base import ContentFile\n"
        "from django.core.management import call_command\n"
        "name = storage.save('new.css', ContentFile(b'a{}'))\n"
        "with storage.open(name) as file: file.read()\n"
        "storage.url('css/site.css'), storage.exists(name), storage.size(name), storage.listdir('')\n"
        "storage.get_modified_time(name), storage.delete(name), storage.path(name)\n"
        "call_command('check')\n"
        "print([name for name in sys.modules if name.startswith('obstore')])\n"
        "call_command('collectstatic', interactive=False, verbosity=0)\n"
        "print('obstore' in sys.modules)\n",
        fresh=True,
    )
    assert result.stdout.splitlines()[-2:] == ["[]", "True"], result


@pytest.mark.parametrize("how", ["option", "not installed"])
def test_a_project_can_do_without(s3: Any, tmp_path: Path, how: str) -> None:
    project = Project.make(tmp_path, s3)
    if how == "option":
        project.set_options(mirror_engine="storage")
    else:
        project.prelude.append("import sys; sys.modules['obstore'] = None")
        project.write()
    with s3.wire.recording() as seen:
        result = project.run("collectstatic", "--no-input", "-v2")
    assert result.returncode == 0, result
    assert len(sent_by_sdk(seen)) == len(seen.of("PUT"))
    assert ("obstore is not installed" in result.stdout) is (how == "not installed")


def test_a_publish_goes_through_it_and_says_what_does_not(s3: Any, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3)
    with s3.wire.recording() as seen:
        result = project.run("collectstatic", "--no-input", "-v2")
    assert result.returncode == 0, result
    ours = [name for name in sent_by_sdk(seen) if not name.startswith(".localmirror/")]
    assert ours == ["staticfiles.json"]
    assert "itself:" not in result.stdout
    project.set_options(default_acl="public-read")
    result = project.run("localmirror", "-v2", "publish", "--all")
    assert result.returncode == 0, result
    assert result.stdout.count("sends some files itself: obstore has no word for ACL.") == 1


# -- memory -----------------------------------------------------------------------------------------------------------


def test_bytes_in_flight_are_bounded() -> None:
    flight, guard = Flight(100), threading.Lock()
    held: list[int] = []
    peaks: list[int] = []

    def send(size: int) -> None:
        for _ in range(20):
            with flight.of(size):
                with guard:
                    held.append(size)
                    peaks.append(sum(held))
                with guard:
                    held.remove(size)

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(send, size) for size in (10, 30, 60, 90, 250, 40, 100, 1)]:
            future.result(timeout=60)
    assert max(peak for peak in peaks if peak != 250) <= 100
    assert 250 in peaks


def test_a_large_file_is_read_piece_by_piece(s3: Any) -> None:
    class Counting(BytesIO):
        most = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.most = max(self.most, len(data))
            return data

    file = Counting(os.urandom(12 * MIB))
    parts = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    engine = engine_for(s3.storage("static", transfer_config=parts))
    engine.upload("large.bin", SpooledContent(file, "large.bin", "", 12 * MIB), immutable=False)
    assert 0 < file.most <= MIB
