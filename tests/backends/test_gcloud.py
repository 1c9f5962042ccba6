"""What is particular to Google Cloud Storage: its generations, its two kinds of NotFound, gzip, credentials."""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import pickle
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
import requests
from django.core.files.base import ContentFile
from django.test import override_settings
from google.api_core.exceptions import BadRequest, Forbidden, GoogleAPICallError, NotFound, PreconditionFailed
from google.auth.exceptions import DefaultCredentialsError
from google.cloud.storage.retry import DEFAULT_RETRY

from localmirror import offline
from localmirror.exceptions import ReleaseConflictError

from ..corpus import Project
from ..rigs import Rig
from .helpers import MEMORY_LIMIT, forked, import_without, mirrored, peak_megabytes

pytestmark = pytest.mark.parametrize("rig", ["gcs-emulator"], indirect=True)

LARGE = random.Random(20).randbytes(20_000_001)
CSS = b"body { color: red }\n" * 1000
NO_BUCKET = "The specified bucket does not exist."


def named(content: bytes) -> str:
    """Return an immutable name for *content*."""
    return f"css/site.{hashlib.md5(content).hexdigest()[:12]}.css"


class TestMissing:
    def test_open_tells_it_at_once(self, rig: Rig) -> None:
        with pytest.raises(FileNotFoundError, match=rf"'a\.css' does not exist in .*{rig.bucket}"):
            rig.storage().open("a.css")

    @pytest.mark.parametrize("method", ["size", "get_modified_time", "get_created_time"])
    def test_metadata(self, rig: Rig, method: str) -> None:
        with pytest.raises(FileNotFoundError):
            getattr(rig.storage(), method)("a.css")

    def test_an_empty_bucket_is_enough_for_a_storage_with_a_manifest(self, rig: Rig) -> None:
        with rig.wire.recording() as seen:
            storage = rig.storage("manifest")
        assert storage.hashed_files == {}
        assert [request.status for request in seen] == [404]

    def test_it_is_no_error_when_asked_for(self, rig: Rig) -> None:
        storage = rig.storage()
        storage.delete("a.css")
        assert not storage.exists("a.css")
        assert storage.remote_file("a.css") is None


class TestNeverMistakenForMissing:
    METHODS = ("open", "size", "exists", "get_modified_time", "remote_file", "delete")

    @pytest.mark.parametrize("method", METHODS)
    def test_a_refusal(self, rig: Rig, method: str) -> None:
        storage = rig.storage()
        rig.wire.fail(403)
        with pytest.raises(Forbidden):
            getattr(storage, method)("a.css")

    @pytest.mark.parametrize("method", METHODS)
    def test_a_missing_bucket(self, rig: Rig, method: str) -> None:
        storage = rig.storage()
        rig.wire.fail(404, code=NO_BUCKET)
        with pytest.raises(NotFound) as caught:
            getattr(storage, method)("a.css")
        assert storage.is_fatal(caught.value)


class TestNames:
    def test_listdir(self, rig: Rig) -> None:
        storage = rig.storage(location="media")
        for name in ("", "a.txt", "a.txt/b.txt", "dir/", "dir/b.txt", ".well-known/d.txt", ".localmirror/f"):
            rig.raw_put(f"media/{name}", b"x")
        rig.raw_put("media-2/e.txt", b"x")
        directories, files = storage.listdir("")
        assert (sorted(directories), files) == ([".well-known", "a.txt", "dir"], ["a.txt"])
        assert storage.listdir("dir") == ([], ["b.txt"])
        assert storage.listdir("nowhere") == ([], [])

    def test_a_listing_comes_in_pages_and_can_begin_behind_a_name(self, rig: Any) -> None:
        storage = rig.storage("static", location="static")
        names = [f"{number:04}.txt" for number in range(1005)]
        bucket = rig.client
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: bucket.blob(f"static/{name}").upload_from_string(b"x"), names))
        rig.raw_put("static/directory/", b"")
        rig.raw_put("elsewhere/a.txt", b"x")
        with rig.wire.recording() as seen:
            listed = list(storage.remote_files())
        assert [file.name for file in listed] == names
        assert {file.md5 for file in listed} == {hashlib.md5(b"x").hexdigest()}
        assert seen.counts() == {"LIST": 2}
        assert [file.name for file in storage.remote_files(after="1001.txt")] == names[1002:]
        assert [file.name for file in storage.remote_files("100")] == names[1000:]
        with rig.wire.recording() as seen:
            storage.delete_many([*names[:149], "missing.txt"])
        assert len(rig.raw_list()) == 1005 - 149 + 2
        assert seen.counts() == {"POST": 2, "DELETE": 50}  # a batch in which one is missing is done again singly

    def test_what_cannot_be_deleted_is_told_and_the_rest_is_deleted(self, rig: Rig) -> None:
        for name in ("a", "b", "c"):
            rig.raw_put(name, b"x")
        rig.wire.fail(403, path="/batch/")
        rig.wire.fail(403, name="^c$", method="DELETE")
        with pytest.raises(Forbidden):
            rig.storage().delete_many(["missing", "a", "b", "c"])
        assert rig.raw_list() == ["c"]


class TestContent:
    @pytest.mark.parametrize("content", [b"", b"a{}", LARGE], ids=["empty", "small", "in pieces"])
    def test_one_request_to_save_and_one_to_fetch(self, rig: Rig, content: bytes) -> None:
        storage = rig.storage()
        with rig.wire.recording() as seen:
            storage.save("a.bin", ContentFile(content))
        assert len(seen) == (1 if len(content) < 8 << 20 else 4)
        (listed,) = storage.remote_files()
        assert (listed.size, listed.md5) == (len(content), hashlib.md5(content).hexdigest())
        assert storage.remote_file("a.bin") == listed
        other = rig.storage(mirror_location=str(rig.directory / "other"), mirror_max_age=0)
        with rig.wire.recording() as seen, other.open("a.bin") as file:
            assert file.read() == content
        assert seen.counts() == {"GET": 1}
        with rig.wire.recording() as seen:
            other.open("a.bin").close()
        assert seen.operations() == {"stat": 1}

    def test_a_stream_that_cannot_seek(self, rig: Rig) -> None:
        class Stream(io.RawIOBase):
            left = io.BytesIO(CSS)

            def readable(self) -> bool:
                return True

            def readinto(self, buffer: Any) -> int:
                return self.left.readinto(buffer)

        rig.storage().save("a.css", io.BufferedReader(Stream()))
        assert rig.raw_get("a.css") == CSS == mirrored(rig)["a.css"]

    def test_a_fetch_that_breaks_off_goes_on(self, rig: Rig) -> None:
        rig.raw_put("a.bin", LARGE)
        rule = rig.wire.cut(operation="download", times=1)
        with rig.storage().open("a.bin") as file:
            assert file.read() == LARGE
        assert rule.hits == 1

    def test_memory_does_not_grow_with_the_file(self, rig: Rig) -> None:
        path = rig.directory / "large.bin"
        with open(path, "wb") as file:
            file.truncate(300 << 20)
        code = f"with open({str(path)!r}, 'rb') as file:\n    storage.save('large.bin', file)"
        assert peak_megabytes(rig, code) < MEMORY_LIMIT
        other = str(rig.directory / "other")
        assert peak_megabytes(rig, "storage.open('large.bin').close()", mirror_location=other) < MEMORY_LIMIT
        assert (rig.directory / "other" / "large.bin").stat().st_size == 300 << 20


class TestGzip:
    def test_the_mirror_holds_plain_bytes_and_the_remote_what_the_storage_would_send(self, rig: Rig) -> None:
        rig.plain(gzip=True).save("plain.css", ContentFile(CSS))
        storage = rig.storage("static", gzip=True)
        storage.save("a.css", ContentFile(CSS))
        assert rig.raw_get("a.css") == rig.raw_get("plain.css") != CSS
        assert rig.raw_head("a.css").content_encoding == "gzip"
        assert rig.raw_head("a.css").content_type == "text/css"
        assert mirrored(rig) == {"a.css": CSS}

    def test_what_is_not_for_gzip_is_stored_as_it_is(self, rig: Rig) -> None:
        storage = rig.storage("static", gzip=True)
        for name in ("a.png", "a.css.gz", "a.css.br"):
            storage.save(name, ContentFile(CSS))
            assert rig.raw_get(name) == CSS

    def test_a_fetch_unpacks_it(self, rig: Rig) -> None:
        rig.raw_put("a.css", gzip.compress(CSS), content_encoding="gzip", content_type="text/css")
        with rig.wire.recording() as seen, rig.storage("static").open("a.css") as file:
            assert file.read() == CSS
        assert seen.counts() == {"GET": 1}

    def test_a_fetch_that_breaks_off_does_not_mix_up_packed_and_plain_bytes(self, rig: Rig) -> None:
        text = LARGE[:5_000_000].hex().encode()
        rig.raw_put("a.css", gzip.compress(text), content_encoding="gzip", content_type="text/css")
        rig.wire.cut(operation="download", times=1)
        with rig.storage("static").open("a.css") as file:
            assert file.read() == text

    def test_what_is_gzipped_itself_stays_so(self, rig: Rig) -> None:
        packed = gzip.compress(CSS)
        rig.storage("static").save("a.css.gz", ContentFile(packed))
        assert rig.raw_head("a.css.gz").content_encoding == "gzip"
        with rig.storage("static", mirror_location=str(rig.directory / "other")).open("a.css.gz") as file:
            assert file.read() == packed

    def test_the_next_release_finds_it_unchanged(self, rig: Rig, tmp_path: Any) -> None:
        project = Project.make(tmp_path, rig, gzip=True, mirror_engine="storage")
        assert project.run("collectstatic", "--no-input").returncode == 0
        project.set_options(mirror_location=str(tmp_path / "other"))
        result = project.run("collectstatic", "--no-input")
        assert result.last_line == "30 files in the release: 0 uploaded (0 B), 30 already there."


class TestHeaders:
    def test_immutable_names_and_others(self, rig: Rig) -> None:
        given = {"cache_control": "max-age=60", "content_disposition": "inline"}
        storage = rig.storage("static", object_parameters=given)
        name = named(b"a{}")
        storage.save(name, ContentFile(b"a{}"))
        storage.save("a.css", ContentFile(b"a{}"))
        assert rig.raw_head(name).cache_control == "public, max-age=31536000, immutable"
        assert rig.raw_head("a.css").cache_control == "max-age=60"
        for head in (rig.raw_head(name), rig.raw_head("a.css")):
            assert (head.content_type, head.content_encoding, head.content_disposition) == ("text/css", None, "inline")
        assert given == {"cache_control": "max-age=60", "content_disposition": "inline"}

    def test_the_type_that_the_content_brings(self, rig: Rig) -> None:
        content = ContentFile(b"x")
        content.content_type = "font/woff2"  # type: ignore[attr-defined]
        rig.storage().save("a.bin", content)
        assert rig.raw_head("a.bin").content_type == "font/woff2"

    def test_an_acl_goes_where_google_takes_it(self, rig: Rig) -> None:
        with rig.wire.recording() as seen:
            rig.storage("static", default_acl="publicRead").save("a.css", ContentFile(b"a{}"))
        assert seen[0].query["predefinedAcl"] == "publicRead"


class TestManifest:
    def test_it_is_sent_on_condition(self, rig: Rig) -> None:
        storage = rig.storage("manifest")
        with rig.wire.recording() as seen:
            first = storage.upload_manifest("m.json", ContentFile(b"1"), seen=None)
            listed = next(storage.remote_files())
            assert listed.etag == first.etag
            storage.upload_manifest("m.json", ContentFile(b"2"), seen=listed)
        assert [request.query["ifGenerationMatch"] for request in seen.of("upload")] == ["0", first.etag]
        assert rig.raw_get("m.json") == b"2"

    def test_another_release_is_not_overwritten(self, rig: Rig) -> None:
        storage = rig.storage("manifest")
        storage.upload_manifest("m.json", ContentFile(b"1"), seen=None)
        seen = storage.remote_file("m.json")
        with pytest.raises(ReleaseConflictError, match="Another release went live") as caught:
            storage.upload_manifest("m.json", ContentFile(b"2"), seen=None)
        assert isinstance(caught.value.__cause__, PreconditionFailed)
        rig.raw_put("m.json", b"theirs")
        with pytest.raises(ReleaseConflictError):
            storage.upload_manifest("m.json", ContentFile(b"3"), seen=seen)
        assert rig.raw_get("m.json") == b"theirs"


class TestConnections:
    def test_a_storage_that_was_used_works_on_both_sides_of_a_fork(self, rig: Rig) -> None:
        storage = rig.storage("static")
        storage.save("before.txt", ContentFile(b"before"))
        used = storage.client

        def use() -> None:
            assert storage.client is not used
            for number in range(10):
                storage.save(f"child-{number}.txt", ContentFile(b"child"))
                assert storage.remote_file("before.txt").md5 == hashlib.md5(b"before").hexdigest()

        with rig.wire.recording() as seen:
            assert forked(use) == 0
            storage.save("after.txt", ContentFile(b"after"))
        assert storage.client is used
        assert {request.status for request in seen} == {200}
        assert len(rig.raw_list()) == 12

    def test_a_pickle_holds_no_client(self, rig: Rig) -> None:
        storage = rig.storage()
        storage.save("a.txt", ContentFile(b"a"))
        copied = pickle.loads(pickle.dumps(storage))
        assert copied._client is copied._bucket is None
        assert copied.remote_file("a.txt") == storage.remote_file("a.txt")

    def test_32_threads_keep_their_connections(self, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
        storage = rig.storage("static")
        rig.wire.delay(0.05, times=64)
        with caplog.at_level(logging.WARNING, logger="urllib3"), ThreadPoolExecutor(32) as pool:
            list(pool.map(lambda number: storage.save(f"{number}.txt", ContentFile(b"x")), range(64)))
        assert "Connection pool is full" not in caplog.text
        assert len(rig.raw_list()) == 64

    def test_nothing_is_asked_of_the_bucket_itself(self, rig: Rig) -> None:
        with rig.wire.recording() as seen:
            storage = rig.storage()
            storage.save("a.txt", ContentFile(b"a"))
            storage.exists("a.txt")
            list(storage.remote_files())
            assert not storage.exists("b.txt")
        assert [request.operation for request in seen] == ["upload", "stat", "list", "stat"]

    def test_one_bad_moment_is_survived(self, rig: Rig) -> None:
        rig.wire.fail(503, times=1)
        rig.storage().save("a.txt", ContentFile(b"a"))
        assert rig.raw_get("a.txt") == b"a"

    def test_an_outage_is_told_in_one_line_and_the_mirror_goes_on(
        self, rig: Rig, caplog: pytest.LogCaptureFixture
    ) -> None:
        storage = rig.storage(mirror_max_age=0)
        storage.save("a.txt", ContentFile(b"a"))
        short = {"retry": DEFAULT_RETRY.with_timeout(1)}
        with mock.patch.dict("localmirror.backends._gcloud.READING", short), rig.wire.outage():
            with storage.open("a.txt") as file:
                assert file.read() == b"a"
        assert "Serving 'a.txt' from the mirror as it is: ConnectionError: " in caplog.text

    def test_what_is_to_be_thought_of_errors(self, rig: Rig) -> None:
        storage = rig.storage()
        rule = rig.wire.fail(500)
        with (
            mock.patch.dict("localmirror.backends._gcloud.READING", {"retry": None}),
            pytest.raises(GoogleAPICallError) as caught,
        ):
            storage.remote_file("a.txt")
        assert rule.hits == 1
        assert (storage.is_unavailable(caught.value), storage.is_fatal(caught.value)) == (True, False)

    @pytest.mark.parametrize(
        ("kind", "call"),
        [("READING", lambda storage: storage.listdir("")), ("WRITING", lambda storage: storage.delete("a"))],
    )
    def test_the_sdk_is_told_how_long_to_try(self, rig: Rig, kind: str, call: Any) -> None:
        storage = rig.storage()
        rule = rig.wire.fail(503, times=1)
        with mock.patch.dict(f"localmirror.backends._gcloud.{kind}", {"retry": None}):
            with pytest.raises(GoogleAPICallError):
                call(storage)
        assert rule.hits == 1


class TestMessages:
    def test_the_service_s_own_words_without_the_address_of_the_upload(self, rig: Rig) -> None:
        storage = rig.storage()
        rig.wire.fail(400, code="Nonsense", method="PUT")
        with pytest.raises(BadRequest) as caught:
            storage.save("a.bin", ContentFile(LARGE))
        assert "upload_id" in str(caught.value)
        rig.wire.reset()
        # The emulator does not part with a bucket that has an upload going on.
        requests.put(caught.value.response.request.url, b"x", timeout=10)
        assert storage.describe_error(caught.value) == "400 Nonsense injected for a test"

    def test_the_remote_is_named_by_endpoint_and_bucket(self, rig: Rig) -> None:
        assert rig.storage(location="a").describe_remote() == (
            f"GoogleCloudStorage (endpoint {rig.wire.url!r}, bucket {rig.bucket!r}, location 'a')"
        )


class TestWithoutCredentials:
    """As on a builder that has none: the SDK would look for them in files and at addresses of the cloud."""

    @pytest.fixture(autouse=True)
    def nothing_to_be_found(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("STORAGE_EMULATOR_HOST")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(rig.directory / "missing.json"))

    @pytest.mark.parametrize("name", ["a.css", "grün/☃ %23#?.css", ".well-known/x", "a~b'(c).js"])
    @pytest.mark.parametrize("endpoint", [None, "https://cdn.example.com"])
    def test_static_urls(self, rig: Rig, name: str, endpoint: str | None) -> None:
        from google.auth.credentials import AnonymousCredentials

        options = {"querystring_auth": None, "custom_endpoint": endpoint, "location": "st/a"}
        with_credentials = rig.plain("static", **options, credentials=AnonymousCredentials())
        assert rig.storage("static", **options).url(name) == with_credentials.url(name)

    def test_a_setting_does_not_have_static_ones_signed(self, rig: Rig) -> None:
        options = rig.options("static", custom_endpoint=None)
        del options["querystring_auth"]
        with override_settings(GS_QUERYSTRING_AUTH=True, GS_EXPIRATION=timedelta(hours=1)):
            from localmirror.backends.gcloud import MirroredGoogleCloudStaticStorage, MirroredGoogleCloudStorage

            storage = MirroredGoogleCloudStaticStorage(mirror_location=str(rig.mirror), **options)
            assert storage.url("a.css") == f"https://storage.googleapis.com/{rig.bucket}/a.css"
            with pytest.raises(DefaultCredentialsError):
                MirroredGoogleCloudStorage(mirror_location=str(rig.mirror), **options).url("a.css")

    def test_staging(self, rig: Rig, tmp_path: Any) -> None:
        project = Project.make(tmp_path, rig)
        project.environment = {}
        with rig.wire.recording() as seen:
            result = project.run("collectstatic", "--no-input", "--stage")
        assert result.returncode == 0, result
        assert len(seen) == 0

    def test_missing_ones_are_told_and_stop_everything(self, rig: Rig) -> None:
        with offline():
            storage = rig.storage("manifest")
        with pytest.raises(DefaultCredentialsError) as caught:
            storage.remote_file("a.css")
        assert storage.is_fatal(caught.value)


def test_a_missing_sdk_is_told_with_the_command_that_installs_it(rig: Rig) -> None:
    told = import_without("google.cloud.storage", "localmirror.backends.gcloud")
    assert told.strip().endswith('pip install "django-localmirror[gcs]"')
