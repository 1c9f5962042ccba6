"""The bulk engine on Azure and Google Cloud Storage: the objects that the SDKs leave, and their errors."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import google.auth.credentials
import google.oauth2.credentials
import pytest
import requests
from azure.core import exceptions as azure
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.api_core import exceptions as api
from google.auth import impersonated_credentials
from google.auth.exceptions import RefreshError
from google.cloud.storage import Client
from google.oauth2 import service_account
from storages.backends.azure_storage import AzureStorage

from localmirror.backends import _obstore_setup
from localmirror.backends.azure import AzureMirrorMixin, MirroredAzureStaticStorage
from localmirror.backends.gcloud import MirroredGoogleCloudStaticStorage
from localmirror.remote import Engine, RemoteSeam
from localmirror.roles import StaticMirrorMixin

from .corpus import Project
from .servers.azurite import ACCOUNT, KEY
from .test_engine import FILES, MIB, content, engine_for
from .wire import Rule

on_azure = pytest.mark.parametrize("rig", ["azure-azurite"], indirect=True)
on_gcs = pytest.mark.parametrize("rig", ["gcs-emulator"], indirect=True)

HEADERS = {
    "cache_control": "max-age=60",
    "content_disposition": 'inline; filename="a.txt"',
    "content_language": "de, en",
}


def by_obstore(requests: Any) -> list[str]:
    return [r.name for r in requests if r.method == "PUT" and not re.search("python|gcloud", r.headers["user-agent"])]


# -- Azure ------------------------------------------------------------------------------------------------------------


def blob(rig: Any, name: str) -> dict[str, Any]:
    told = rig.client.get_blob_client(name).get_blob_properties()
    kept = {"settings": dict(told.content_settings), "metadata": told.metadata, "tier": told.blob_tier}
    return {**kept, "body": rig.raw_get(name)}


CARRIED: dict[str, dict[str, Any]] = {
    "plain": {},
    "headers": {"object_parameters": HEADERS},
    "cache control": {"cache_control": "no-cache", "mirror_immutable_cache_control": None},
    "location": {"location": "static"},
    "type": {"object_parameters": {"content_type": "text/x-mine; charset=utf-8"}},
}


@on_azure
@pytest.mark.parametrize("options", CARRIED)
def test_azure_keeps_what_save_and_the_adapter_leave(rig: Any, options: str) -> None:
    storage = rig.storage("static", **CARRIED[options])
    engine = engine_for(storage)
    for name, data in FILES.items():
        key = storage._get_valid_path(name)
        left = []
        for way in (lambda *a, **k: RemoteSeam.upload(storage, *a, **k), storage.upload, engine.upload):
            with rig.wire.recording() as seen:
                uploaded = way(name, content(name, data), immutable=True)
            left.append(blob(rig, key))
            rig.raw_delete(key) if way != engine.upload else None
        assert left[0] == left[1] == left[2]
        assert by_obstore(seen) == [key]
        assert uploaded == (name, storage.remote_file(name).etag)
        (listed,) = [file for file in engine.remote_files() if file.name == name]
        assert (listed.etag, listed.md5) == (uploaded.etag, storage.encoded_md5(name, content(name, data)))
    assert not engine.remarks


@on_azure
def test_azure_goes_the_sdks_way_for_what_obstore_cannot_do(rig: Any) -> None:
    storage = rig.storage("static", object_parameters={"cache_control": "a,  b"})
    engine = engine_for(storage)
    with rig.wire.recording() as seen:
        engine.upload("a.css", content("a.css", b"a{}"), immutable=False)
    assert not by_obstore(seen)
    assert blob(rig, "a.css")["settings"]["cache_control"]
    data = os.urandom(9 * MIB)
    path = rig.directory / "large"
    path.write_bytes(data)
    with rig.wire.recording() as seen:
        engine.upload("large.bin", content("large.bin", data, path), immutable=False)
    assert not by_obstore(seen)
    assert rig.raw_head("large.bin").md5
    assert len(engine.remarks) == 2


@on_azure
def test_azure_deletes_and_lists(rig: Any) -> None:
    engine = engine_for(rig.storage("static", location="static"))
    for name in ("a.css", "b ü.css", "c.css"):
        engine.upload(name, content(name, b"a{}"), immutable=False)
    engine.delete_many(["a.css", "b ü.css", "missing"])
    assert [file.name for file in engine.remote_files()] == ["c.css"]
    assert rig.raw_list() == ["static/c.css"]


@on_azure
def test_azure_is_asked_with_any_kind_of_credential(rig: Any) -> None:
    url = f"{rig.wire.url}/{ACCOUNT}"
    words = {"account_name": ACCOUNT, "azure_container": rig.bucket, "mirror_location": str(rig.mirror)}
    signature = generate_account_sas(
        ACCOUNT,
        KEY,
        ResourceTypes(object=True, container=True),
        AccountSasPermissions(read=True, write=True, create=True, list=True),
        datetime.now(UTC) + timedelta(hours=1),
    )
    text = f"BlobEndpoint={url};SharedAccessSignature={signature}"
    for options in ({"connection_string": text}, {"connection_string": rig.server.connection_string(rig.endpoint)}):
        engine = engine_for(MirroredAzureStaticStorage(**words, **options))
        with rig.wire.recording() as seen:
            engine.upload("a.css", content("a.css", b"a{}"), immutable=False)
        assert by_obstore(seen) == ["a.css"]
        rig.wire.fail(403, times=1, method="PUT")
        with pytest.raises(azure.HttpResponseError) as caught:
            engine.upload("a.css", content("a.css", b"a{}"), immutable=False)
        assert "sig=" not in "".join(traceback.format_exception(caught.value))


class Token:
    """A credential as azure-identity makes them."""

    def __init__(self) -> None:
        self.asked = 0

    def get_token(self, *scopes: str, **_: Any) -> Any:
        self.asked += 1
        if self.asked > 2:
            raise azure.ClientAuthenticationError("no more tokens")

        class AccessToken(NamedTuple):
            token: str
            expires_on: int

        return AccessToken("the-token", 4_000_000_000)


def test_azure_is_asked_with_a_token_that_is_renewed(
    google_server: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_obstore_setup, "CREDENTIALS_SECONDS", 0)
    text = f"BlobEndpoint={google_server.url}/account;AccountName=account;AccountKey={KEY}"
    storage = MirroredAzureStaticStorage(azure_container="site", connection_string=text, mirror_location=str(tmp_path))
    storage.service_client.credential = Token()  # the SDK itself takes tokens over HTTPS alone
    engine = engine_for(storage)
    engine.upload("a.css", content("a.css", b"a{}"), immutable=False)
    assert google_server.tokens == ["Bearer the-token"]
    assert google_server.stored[0]["name"] == "/account/site/a.css"
    threading.Event().wait(0.2)  # obstore asks no oftener than ten times a second
    with pytest.raises(azure.ClientAuthenticationError, match="no more tokens") as caught:
        engine.upload("a.css", content("a.css", b"a{}"), immutable=False)
    assert storage.is_fatal(caught.value)


@pytest.mark.parametrize("how", ["signature", "key"])
def test_azure_may_be_behind_any_name(
    google_server: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The SDK reads the account off the names of Azure's own clouds alone."""
    monkeypatch.setenv("HTTP_PROXY", google_server.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    words: dict[str, Any] = {"account_name": "account", "azure_ssl": False, "sas_token": "sv=1&sig=c2ln"}
    if how == "key":
        text = f"BlobEndpoint=http://blobs.stack.invalid;AccountName=account;AccountKey={KEY}"
        words = {"connection_string": text}
    storage = MirroredAzureStaticStorage(
        azure_container="site", endpoint_suffix="stack.invalid", mirror_location=str(tmp_path), **words
    )
    engine_for(storage).upload("a.css", content("a.css", b"a{}"), immutable=False)
    (stored,) = google_server.stored
    host = "account.blob" if how == "signature" else "blobs"
    assert stored["name"].startswith(f"http://{host}.stack.invalid/site/a.css")
    assert ("sig=c2ln" in stored["name"]) is (how == "signature")
    assert str(google_server.tokens[0]).startswith("SharedKey account:" if how == "key" else "None")


AZURE_POISON = {
    **dict.fromkeys(["AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_TOKEN", "AZURE_STORAGE_ACCOUNT_NAME"], "poison"),
    **dict.fromkeys(["AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "AZURE_CONTAINER_NAME"], "poison"),
    **dict.fromkeys(["AZURE_SKIP_SIGNATURE", "AZURE_STORAGE_USE_EMULATOR", "AZURE_USE_FABRIC_ENDPOINT"], "true"),
    **dict.fromkeys(["AZURE_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "AZURE_MSI_ENDPOINT"], "http://127.0.0.1:1"),
    "AZURE_CREDENTIAL_TYPE": "sas_token",
    "AZURE_STORAGE_ACCOUNT_KEY": "cG9pc29u",
    "AZURE_PROXY_URL": "http://127.0.0.1:1",
    "AZURE_TIMEOUT": "1ms",
}


@on_azure
def test_azure_follows_no_variable_of_the_environment(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AZURE_POISON.items():
        monkeypatch.setenv(name, value)
    engine = engine_for(rig.storage("static"))
    with rig.wire.recording() as seen:
        engine.upload("a.css", content("a.css", b"a{}"), immutable=False)
    assert by_obstore(seen) == ["a.css"]
    assert seen[0].headers["authorization"].startswith(f"SharedKey {ACCOUNT}:")


class SavesItself(AzureStorage):
    def _save(self, name: str, content: Any) -> str:
        return str(super()._save(name, content))


class MirroredSavesItself(StaticMirrorMixin, AzureMirrorMixin, SavesItself):
    pass


class ConnectsItself(MirroredAzureStaticStorage):
    def _get_service_client(self) -> Any:
        return super()._get_service_client()


@on_azure
@pytest.mark.parametrize("cls", [MirroredSavesItself, ConnectsItself])
def test_azure_calls_what_a_project_overrides(rig: Any, cls: Any) -> None:
    engine = cls(mirror_location=str(rig.mirror), **rig.options("static")).bulk_engine()
    assert type(engine) is Engine
    assert len(engine.remarks) == 1


@on_azure
@pytest.mark.parametrize(
    "options",
    [{"read_timeout": None}, {"connection_timeout": None}, {"retry_total": -1}, {"retry_total": "3"}],
    ids=["read", "connect", "negative", "text"],
)
def test_azure_takes_any_value_that_the_sdk_takes(rig: Any, options: dict[str, Any]) -> None:
    engine = rig.storage("static", client_options=options).bulk_engine()
    assert type(engine) is Engine
    assert len(engine.remarks) == 1
    engine.upload("a.css", content("a.css", b"a{}"), immutable=False)
    assert [file.name for file in engine.remote_files()] == ["a.css"]


@on_azure
@pytest.mark.parametrize("options", [{"user_agent": "mine"}, {"proxies": {"http": "http://127.0.0.1:1"}}])
def test_azure_stands_back_before_options_that_obstore_does_not_know(rig: Any, options: dict[str, Any]) -> None:
    engine = rig.storage("static", client_options=options).bulk_engine()
    assert type(engine) is Engine
    assert next(iter(options)) in engine.remarks[0]


@on_azure
def test_azure_tries_again_and_is_told_what_happened(rig: Any) -> None:
    storage = rig.storage("static")
    engine = engine_for(storage)
    for fault in (Rule("status", status=503, times=2), Rule("refuse", times=2), Rule("cut", times=1)):
        rig.wire.rules[:] = [fault]
        engine.upload("a.css", content("a.css", b"a{}"), immutable=False)
        assert fault.hits == fault.times
    for status, kind, unavailable in (
        (403, azure.HttpResponseError, False),
        (404, azure.ResourceNotFoundError, False),
        (500, azure.HttpResponseError, True),
    ):
        rig.wire.rules[:] = [Rule("status", status=status, code="Refused")]
        with rig.wire.recording() as seen, pytest.raises(kind) as caught:
            engine.upload("a.css", content("a.css", b"a{}"), immutable=False)
        assert len(seen) == (4 if unavailable else 1)
        assert storage.is_unavailable(caught.value) is unavailable
        assert storage.describe_error(caught.value) == "Refused: Refused injected for a test"
        assert not storage.is_fatal(caught.value)


@on_azure
@pytest.mark.parametrize(
    "options",
    [
        {"azure_container": "nowhere"},
        {"account_key": "bm90IHRoZSBrZXk=", "connection_string": None},
        {"account_key": KEY, "connection_string": None, "endpoint_suffix": "nowhere.invalid"},
    ],
    ids=["container", "key", "host"],
)
def test_azure_tells_what_hits_every_file(rig: Any, options: dict[str, Any]) -> None:
    if options.get("connection_string", "") is None and "endpoint_suffix" not in options:
        text = rig.server.connection_string(rig.endpoint).replace(KEY, options["account_key"])
        options = {**options, "connection_string": text}
    storage = rig.storage("static", **options)
    with pytest.raises(azure.AzureError) as caught:
        engine_for(storage).upload("a.css", content("a.css", b"a{}"), immutable=False)
    told = storage.describe_error(caught.value)
    assert storage.is_fatal(caught.value), told
    assert not storage.is_missing(caught.value)
    assert len(told) < 300
    assert "Debug source" not in "".join(traceback.format_exception(caught.value))


@on_azure
def test_azure_is_deployed_to_through_it(rig: Any, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    with rig.wire.recording() as seen:
        result = project.run("collectstatic", "--no-input", "-v2")
    assert result.returncode == 0, result
    assert len(by_obstore(seen)) == 30
    with rig.wire.recording() as seen:
        result = project.run("localmirror", "publish")
    assert result.last_line == "30 files in the release: 0 uploaded (0 B), 30 already there."
    assert seen.operations() == {"list": 1}


# -- Google Cloud Storage ---------------------------------------------------------------------------------------------


class Google(ThreadingHTTPServer):
    """Takes uploads in both of Google's dialects and remembers them in the words of one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _GoogleAnswer)
        self.stored: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self.faults: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _GoogleAnswer(BaseHTTPRequestHandler):
    server: Google

    def do_POST(self) -> None:
        """Take a multipart upload over JSON."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        boundary = b"--" + re.search(rb'boundary="?([^"]+)', self.headers["Content-Type"].encode())[1]
        parts = [part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for part in body.split(boundary)[1:3]]
        kind = re.search(rb"content-type: ([^\r]*)", body.split(boundary)[2])[1].decode()
        told = {key: value for key, value in json.loads(parts[0]).items() if value is not None}
        told.pop("crc32c", None)  # the SDK's own check of the transfer
        self._store({**told, "contentType": told.get("contentType", kind), "body": parts[1]})
        self._answer(200, json.dumps({"name": told["name"], "generation": "7"}).encode())

    def do_PUT(self) -> None:
        """Take an upload over XML."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told: dict[str, Any] = {"name": unquote(self.path.removeprefix("/site/")), "body": body}
        for key, value in self.headers.items():
            if key.lower().startswith("x-goog-meta-"):
                told.setdefault("metadata", {})[key.lower().removeprefix("x-goog-meta-")] = value
            elif key.lower() == "x-goog-storage-class":
                told["storageClass"] = value
            elif re.match("content-(type|encoding|disposition|language)|cache-control", key, re.IGNORECASE):
                head, _, tail = key.lower().partition("-")
                told[head + tail.title()] = value
        status = self.server.faults.pop(0) if self.server.faults else 200
        if status == 200:
            self._store(told)
        self._answer(status, b"" if status == 200 else b"<Error><Code>Refused</Code><Message>No.</Message></Error>")

    def _store(self, told: dict[str, Any]) -> None:
        self.server.stored.append(told)
        self.server.tokens.append(self.headers["Authorization"])

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("ETag", '"e"')
        self.send_header("x-goog-generation", "7")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class GoogleCredentials(google.auth.credentials.Credentials):
    """Credentials that are good for a token, until they are not."""

    broken = False

    def refresh(self, request: Any) -> None:
        if self.broken:
            raise RefreshError("no token")
        self.token = "the-token"


@pytest.fixture
def google_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    # What another test has left for an emulator is not meant here.
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Google())
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        stack.callback(server.shutdown)
        yield server


def google_storage(server: Google, tmp_path: Path, cls: Any = MirroredGoogleCloudStaticStorage, **options: Any) -> Any:
    storage = cls(bucket_name="site", mirror_location=str(tmp_path), **options)
    credentials = GoogleCredentials()
    storage._client = Client("test", credentials, client_options={"api_endpoint": server.url})
    return storage


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"object_parameters": {**HEADERS, "metadata": {"made-by": "a test"}, "storage_class": "NEARLINE"}},
        {"gzip": True},
        {"location": "static"},
        {"object_parameters": {"content_type": "text/x-mine"}},
    ],
    ids=["plain", "headers", "gzip", "location", "type"],
)
def test_google_is_sent_what_the_sdk_sends(google_server: Google, tmp_path: Path, options: dict[str, Any]) -> None:
    storage = google_storage(google_server, tmp_path, **options)
    engine = engine_for(storage)
    for name, data in FILES.items():
        for way in (storage, engine):
            assert way.upload(name, content(name, data), immutable=True) == (name, "7")
        assert google_server.stored[0] == google_server.stored[1]
        assert set(google_server.tokens) == {"Bearer the-token"}
        google_server.stored.clear()
    assert not engine.remarks


# With one of its own, google-auth asks nobody where these credentials may be used.
UNIVERSE = "universe.invalid"


def google_account() -> Any:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()
    about = {"client_email": "site@test.invalid", "token_uri": "http://127.0.0.1:1/", "private_key": pem}
    return service_account.Credentials.from_service_account_info({**about, "universe_domain": UNIVERSE})


@pytest.mark.parametrize("kind", ["service account", "user", "impersonated"])
def test_google_is_asked_with_any_kind_of_credentials(google_server: Google, tmp_path: Path, kind: str) -> None:
    credentials: Any = google_account()
    if kind == "user":
        credentials = google.oauth2.credentials.Credentials("t", universe_domain=UNIVERSE)
    elif kind == "impersonated":
        credentials = impersonated_credentials.Credentials(credentials, "other@test.invalid", ["scope"])
    credentials.token, credentials.expiry = "a-token", datetime.now() + timedelta(days=1)
    storage = google_storage(google_server, tmp_path)
    at = {"api_endpoint": google_server.url, "universe_domain": UNIVERSE}
    storage._client = Client("test", credentials, client_options=at)
    engine_for(storage).upload("a.css", content("a.css", b"a{}"), immutable=True)
    assert google_server.tokens == [f"Bearer {storage._client._credentials.token}"]


@pytest.mark.parametrize(("sent", "alike"), [("0x0", True), ("0xA30", False)])
def test_google_is_left_to_the_sdk_where_it_sends_more_than_a_token(
    google_server: Google, tmp_path: Path, sent: str, alike: bool
) -> None:
    class Bounded(GoogleCredentials):
        def apply(self, headers: Any, token: str | None = None) -> None:
            super().apply(headers, token)
            headers["x-allowed-locations"] = sent

    storage = google_storage(google_server, tmp_path)
    storage._client = Client("test", Bounded(), client_options={"api_endpoint": google_server.url})
    engine = storage.bulk_engine()
    assert (type(engine) is not Engine) is alike
    assert alike or "x-allowed-locations" in engine.remarks[0]


@pytest.mark.parametrize(
    "options",
    [
        {"default_acl": "publicRead"},
        {"object_parameters": {"custom_time": datetime(2020, 1, 1, tzinfo=UTC)}},
        {"object_parameters": {"metadata": {"Owner": "a test"}}},
        {"object_parameters": {"metadata": {"made by": "a test"}}},
    ],
    ids=["acl", "time", "case of metadata", "metadata"],
)
def test_google_goes_the_sdks_way_for_what_obstore_cannot_do(
    google_server: Google, tmp_path: Path, options: dict[str, Any]
) -> None:
    engine = engine_for(google_storage(google_server, tmp_path, **options))
    engine.upload("a.css", content("a.css", b"a{}"), immutable=True)
    (stored,) = google_server.stored
    assert stored["name"] == "a.css"
    assert stored.get("metadata") == options.get("object_parameters", {}).get("metadata")
    assert len(engine.remarks) == 1


def test_google_follows_no_variable_of_the_environment(
    google_server: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = google_storage(google_server, tmp_path)
    for name in ("BASE_URL", "BEARER_TOKEN", "BUCKET", "BUCKET_NAME", "APPLICATION_CREDENTIALS"):
        monkeypatch.setenv(f"GOOGLE_{name}", "http://127.0.0.1:1")
    monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("ALL_PROXY", "")
    engine_for(storage).upload("a.css", content("a.css", b"a{}"), immutable=True)
    assert google_server.tokens == ["Bearer the-token"]
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", "/nowhere")
    assert "GOOGLE_SERVICE_ACCOUNT" in storage.bulk_engine().remarks[0]


def test_google_tries_again_and_is_told_what_happened(google_server: Google, tmp_path: Path) -> None:
    storage = google_storage(google_server, tmp_path)
    engine = engine_for(storage)
    google_server.faults = [503, 429]
    engine.upload("a.css", content("a.css", b"a{}"), immutable=True)
    for status, kind in ((403, api.Forbidden), (404, api.NotFound), (401, api.Unauthorized)):
        google_server.faults = [status]
        with pytest.raises(kind) as caught:
            engine.upload("a.css", content("a.css", b"a{}"), immutable=True)
        assert not google_server.faults
        assert storage.is_fatal(caught.value) is (status == 401)
        assert "Debug source" not in "".join(traceback.format_exception(caught.value))
    assert len(google_server.stored) == 1


def test_google_out_of_reach_is_fatal(google_server: Google, tmp_path: Path) -> None:
    storage = google_storage(google_server, tmp_path)
    engine = engine_for(storage)
    google_server.shutdown()
    google_server.server_close()
    with pytest.raises(requests.ConnectionError) as caught:
        engine.upload("a.css", content("a.css", b"a{}"), immutable=True)
    assert storage.is_fatal(caught.value)
    assert storage.is_unavailable(caught.value)


def test_google_credentials_that_are_refused_are_fatal(google_server: Google, tmp_path: Path) -> None:
    storage = google_storage(google_server, tmp_path)
    storage._client._credentials.broken = True
    with pytest.raises(RefreshError) as caught:
        storage.bulk_engine()
    assert storage.is_fatal(caught.value)


@on_gcs
def test_google_emulators_are_left_to_the_sdk(rig: Any) -> None:
    engine = rig.storage("static").bulk_engine()
    assert type(engine) is Engine
    assert "emulator" in engine.remarks[0]
