"""What is particular to Azure: its names, its MD5s, its conditions, its signatures."""

from __future__ import annotations

import gzip
import hashlib
import logging
import pickle
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import generate_container_sas
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from storages.backends.azure_storage import AzureStorage

from localmirror.backends._azure import AzureRepairs
from localmirror.exceptions import ReleaseConflictError

from ..corpus import Project
from ..rigs import Rig
from ..servers.azurite import ACCOUNT, KEY
from .helpers import MEMORY_LIMIT, forked, import_without, mirrored, peak_megabytes

pytestmark = pytest.mark.parametrize("rig", ["azure-azurite"], indirect=True)

LARGE = random.Random(20).randbytes(20_000_001)
NO_RETRY = {"client_options": {"retry_total": 0}}


def named(content: bytes) -> str:
    """Return an immutable name for *content*."""
    return f"css/site.{hashlib.md5(content).hexdigest()[:12]}.css"


class Unmirrored(AzureRepairs, AzureStorage):
    """What stands behind the mirror, which asks it for what the mirror cannot answer."""

    mirror_workers = 4


class TestMissing:
    def test_open_tells_it_at_once(self, rig: Rig) -> None:
        with pytest.raises(FileNotFoundError, match=rf"'a\.css' does not exist in AzureStorage \(.*{rig.bucket}"):
            rig.storage().open("a.css")

    def test_the_remote_itself_does_so_too(self, rig: Rig) -> None:
        with pytest.raises(ResourceNotFoundError):
            Unmirrored(**rig.options()).open("a.css")

    @pytest.mark.parametrize("method", ["size", "get_modified_time", "get_created_time"])
    def test_metadata(self, rig: Rig, method: str) -> None:
        with pytest.raises(FileNotFoundError):
            getattr(rig.storage(), method)("a.css")

    def test_an_empty_container_is_enough_for_a_storage_with_a_manifest(self, rig: Rig) -> None:
        with rig.wire.recording() as seen:
            storage = rig.storage("manifest")
        assert storage.hashed_files == {}
        assert [request.status for request in seen] == [404]

    def test_deleting_is_no_error(self, rig: Rig) -> None:
        rig.storage().delete("a.css")


class TestNeverMistakenForMissing:
    @pytest.mark.parametrize(
        ("status", "code"),
        [(403, "AuthorizationPermissionMismatch"), (409, "BlobArchived"), (404, "ContainerNotFound")],
    )
    @pytest.mark.parametrize("method", ["open", "size", "exists", "get_modified_time", "remote_file", "delete"])
    def test_other_refusals(self, rig: Rig, method: str, status: int, code: str) -> None:
        storage = rig.storage()
        rig.wire.fail(status, code=code)
        with pytest.raises(HttpResponseError) as caught:
            getattr(storage, method)("a.css")
        assert caught.value.status_code == status

    def test_a_container_that_is_not_there(self, rig: Rig) -> None:
        storage = rig.storage(azure_container="nowhere")
        with pytest.raises(ResourceNotFoundError) as caught:
            storage.exists("a.css")
        assert storage.is_fatal(caught.value)
        with pytest.raises(ResourceNotFoundError):
            list(storage.remote_files())
        with pytest.raises(ResourceNotFoundError):
            rig.storage("manifest", azure_container="nowhere")


class TestNames:
    @pytest.mark.parametrize("name", [".well-known/assetlinks.json", ".hidden", "a/.b/..c", "...x", "a//b/./c"])
    @pytest.mark.parametrize("location", ["", "static", ".dot/static/"])
    def test_dots_stay(self, rig: Rig, name: str, location: str) -> None:
        storage = rig.storage("static", location=location)
        saved = storage.save(name, ContentFile(b"x"))
        assert rig.raw_list() == [f"{location.rstrip('/')}/{saved}".lstrip("/")]
        assert mirrored(rig) == {saved: b"x"}
        assert storage.exists(name)
        assert [file.name for file in storage.remote_files()] == [saved]
        storage.delete(name)
        assert rig.raw_list() == []

    @pytest.mark.parametrize(
        "name",
        [
            "report.",
            "a./b",
            "a/b..",
            "a\x01b",
            "a\x7f",
            "a\x85",
            "a\ufffe",
            "x/" * 254 + "x",
            "/".join(["y" * 204] * 5 + ["y"]),
        ],
    )
    def test_what_azure_would_change_or_refuse_is_refused(self, rig: Rig, name: str) -> None:
        storage = rig.storage("static")
        with pytest.raises(SuspiciousFileOperation, match="Azure cannot store"):
            storage.save(name, ContentFile(b"x"))
        assert rig.raw_list() == []
        assert mirrored(rig) == {}

    def test_uploads_of_users_lose_their_last_dots_before_they_are_saved(self, rig: Rig) -> None:
        storage = rig.storage()
        name = storage.generate_filename("uploads/report..")
        assert storage.save(name, ContentFile(b"x")) == "uploads/report"
        assert rig.raw_list() == ["uploads/report"]

    def test_listdir_gives_directories_and_relative_names(self, rig: Rig) -> None:
        storage = rig.storage(location="media")
        for name in ("a.txt", "a.txt/b.txt", "dir/b.txt", "dir/sub/c.txt", ".well-known/d.txt"):
            rig.raw_put(f"media/{name}", b"x")
        rig.raw_put("media-2/e.txt", b"x")
        rig.raw_put("media/.localmirror/f", b"x")
        directories, files = storage.listdir("")
        assert (sorted(directories), files) == ([".well-known", "a.txt", "dir"], ["a.txt"])
        assert storage.listdir("dir") == (["sub"], ["b.txt"])
        assert storage.listdir("dir/sub/") == ([], ["c.txt"])
        assert storage.listdir("nowhere") == ([], [])

    def test_what_stands_for_a_directory_is_no_file(self, rig: Any) -> None:
        rig.client.upload_blob("dir", b"", metadata={"hdi_isfolder": "true"})
        rig.raw_put("dir/a.txt", b"x")
        rig.raw_put("other/", b"")
        storage = rig.storage()
        assert storage.listdir("") == (["dir", "other"], [])
        assert [file.name for file in storage.remote_files()] == ["dir/a.txt"]
        assert not storage.exists("dir")
        assert storage.remote_file("dir") is None
        for ask in (storage.open, storage.size, storage.get_modified_time, storage.get_created_time):
            with pytest.raises(FileNotFoundError):
                ask("dir")

    def test_a_file_that_is_opened_for_writing_replaces_what_is_there(self, rig: Rig) -> None:
        rig.raw_put("a.txt", b"old")
        with rig.storage().open("a.txt", "ab") as file:
            file.write(b" and new")
        assert rig.raw_get("a.txt") == mirrored(rig)["a.txt"] == b"old and new"

    @pytest.mark.parametrize("size", [1, 9 << 20])
    def test_two_who_find_a_name_free_at_once_both_keep_their_file(self, rig: Rig, size: int) -> None:
        storage = rig.storage()
        contents = [bytes([number]) * size for number in range(6)]
        all_have_looked = threading.Barrier(len(contents))

        def save(content: bytes) -> str:
            class Content(ContentFile):  # type: ignore[type-arg]
                def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
                    all_have_looked.wait()
                    yield from super().chunks(chunk_size)

            saved: str = storage.save("a.bin", Content(content))
            return saved

        with ThreadPoolExecutor(len(contents)) as pool:
            names = list(pool.map(save, contents))
        assert len(set(names)) == len(contents)
        assert rig.raw_all() == mirrored(rig) == dict(zip(names, contents, strict=True))

    def test_a_free_name_is_not_asked_for_once_more(self, rig: Rig) -> None:
        with rig.wire.recording() as seen:
            rig.storage(overwrite_files=True).save("a.txt", ContentFile(b"1"))
            rig.storage().save("b.txt", ContentFile(b"2"))
        assert [request.method for request in seen] == ["PUT", "HEAD", "PUT"]


class TestContent:
    @pytest.mark.parametrize("content", [b"", b"a{}", LARGE], ids=["empty", "small", "in blocks"])
    def test_the_listing_names_the_md5_of_every_upload(self, rig: Rig, content: bytes) -> None:
        storage = rig.storage()
        with rig.wire.recording() as seen:
            storage.save("a.bin", ContentFile(content))
        (listed,) = storage.remote_files()
        assert listed.size == len(content)
        assert listed.md5 == hashlib.md5(content).hexdigest() == rig.raw_head("a.bin").md5
        assert storage.remote_file("a.bin") == listed
        assert len(seen.of("upload")) == (1 if len(content) < 8 << 20 else 6)

    def test_what_was_collected_in_blocks_is_current_the_next_time(self, rig: Rig, tmp_path: Any) -> None:
        project = Project.make(tmp_path, rig, role="static")
        project.corpus.write("film.mp4", LARGE)
        assert project.run("collectstatic", "--no-input").returncode == 0
        (project.directory / "mirror").mkdir()
        project.set_options(mirror_location=str(project.directory / "mirror"))
        with rig.wire.recording() as seen:
            result = project.run("collectstatic", "--no-input")
        assert result.last_line == "16 files in the release: 0 uploaded (0 B), 16 already there."
        assert seen.operations().get("upload") is None

    @pytest.mark.parametrize(("size", "requests"), [(0, 2), (1, 1), (8 << 20, 1), (20_000_001, 3)])
    def test_fetching_takes_one_request_for_8_megabytes(self, rig: Rig, size: int, requests: int) -> None:
        rig.raw_put("a.bin", LARGE[:size])
        with rig.wire.recording() as seen, rig.storage().open("a.bin") as file:
            assert file.read() == LARGE[:size]
        assert seen.counts() == {"GET": requests}  # the SDK asks for a range, which an empty blob does not have

    def test_a_fetch_that_breaks_off_goes_on(self, rig: Rig) -> None:
        rig.raw_put("a.bin", LARGE)
        rig.wire.cut(operation="download", times=1, skip=1)
        with rig.storage().open("a.bin") as file:
            assert file.read() == LARGE

    def test_what_others_have_gzipped_is_unpacked(self, rig: Rig) -> None:
        rig.raw_put("a.css", gzip.compress(b"a{}"), content_encoding="gzip", content_type="text/css")
        with rig.storage().open("a.css") as file:
            assert file.read() == b"a{}"

    @pytest.mark.parametrize("name", ["a.css.gz", "a.tar.gz"])
    def test_what_is_gzipped_itself_stays_so(self, rig: Rig, name: str) -> None:
        packed = gzip.compress(b"a{}")
        rig.storage().save(name, ContentFile(packed))
        assert rig.raw_head(name).content_encoding == "gzip"
        with rig.storage(mirror_location=str(rig.directory / "other")).open(name) as file:
            assert file.read() == packed

    def test_memory_does_not_grow_with_the_file(self, rig: Rig) -> None:
        path = rig.directory / "large.bin"
        with open(path, "wb") as file:
            file.truncate(300 << 20)
        code = f"with open({str(path)!r}, 'rb') as file:\n    storage.save('large.bin', file)"
        assert peak_megabytes(rig, f"from django.core.files import File\n{code}") < MEMORY_LIMIT
        other = str(rig.directory / "other")
        assert peak_megabytes(rig, "storage.open('large.bin').close()", mirror_location=other) < MEMORY_LIMIT
        assert (rig.directory / "other" / "large.bin").stat().st_size == 300 << 20


class TestHeaders:
    def test_immutable_names_and_others(self, rig: Rig) -> None:
        storage = rig.storage("static", cache_control="max-age=60", object_parameters={"content_disposition": "inline"})
        name = named(b"a{}")
        storage.save(name, ContentFile(b"a{}"))
        storage.save("a.css", ContentFile(b"a{}"))
        assert rig.raw_head(name).cache_control == "public, max-age=31536000, immutable"
        assert rig.raw_head("a.css").cache_control == "max-age=60"
        for head in (rig.raw_head(name), rig.raw_head("a.css")):
            assert (head.content_type, head.content_encoding, head.content_disposition) == ("text/css", None, "inline")

    def test_the_type_that_the_content_brings(self, rig: Rig) -> None:
        content = ContentFile(b"x")
        content.content_type = "font/woff2"  # type: ignore[attr-defined]
        rig.storage().save("a.bin", content)
        assert rig.raw_head("a.bin").content_type == "font/woff2"


class TestManifest:
    def test_it_is_sent_on_condition(self, rig: Rig) -> None:
        storage = rig.storage("manifest")
        with rig.wire.recording() as seen:
            first = storage.upload_manifest("m.json", ContentFile(b"1"), seen=None)
            listed = next(storage.remote_files())
            assert listed.etag == first.etag
            storage.upload_manifest("m.json", ContentFile(b"2"), seen=listed)
        sent = [request.headers for request in seen.of("upload")]
        assert sent[0]["if-none-match"] == "*"
        assert sent[1]["if-match"] == f'"{first.etag}"'
        assert rig.raw_get("m.json") == b"2"

    def test_another_release_is_not_overwritten(self, rig: Rig) -> None:
        storage = rig.storage("manifest")
        storage.upload_manifest("m.json", ContentFile(b"1"), seen=None)
        seen = storage.remote_file("m.json")
        with pytest.raises(ReleaseConflictError, match="Another release went live"):
            storage.upload_manifest("m.json", ContentFile(b"2"), seen=None)
        rig.raw_put("m.json", b"theirs")
        with pytest.raises(ReleaseConflictError, match="Another release went live"):
            storage.upload_manifest("m.json", ContentFile(b"3"), seen=seen)
        assert rig.raw_get("m.json") == b"theirs"

    def test_a_refusal_is_no_conflict(self, rig: Rig) -> None:
        rig.wire.fail(409, code="ContainerBeingDeleted", operation="upload")
        with pytest.raises(HttpResponseError) as caught:
            rig.storage("manifest").upload_manifest("m.json", ContentFile(b"1"), seen=None)
        assert not isinstance(caught.value, ReleaseConflictError)


class TestDeletingMany:
    def test_256_in_a_request_missing_ones_passed_over(self, rig: Any) -> None:
        names = [f"dir/ü {number}%23#?.txt" for number in range(300)]
        for name in names[1:]:
            rig.client.upload_blob(f"static/{name}", b"x")
        rig.raw_put("static/kept.txt", b"x")
        with rig.wire.recording() as seen:
            rig.storage("static", location="static").delete_many(names)
        assert rig.raw_list() == ["static/kept.txt"]
        assert seen.counts() == {"POST": 2}

    def test_what_is_refused_is_told(self, rig: Any) -> None:
        rig.raw_put("a.txt", b"x")
        rig.client.get_blob_client("a.txt").acquire_lease(-1)
        with pytest.raises(OSError, match=r"Cannot delete 'a\.txt': 412"):
            rig.storage().delete_many(["a.txt"])
        assert rig.raw_list() == ["a.txt"]


class TestConnections:
    def test_a_storage_that_was_used_works_on_both_sides_of_a_fork(self, rig: Rig) -> None:
        storage = rig.storage("static")
        storage.save("before.txt", ContentFile(b"before"))
        used = storage.service_client

        def use() -> None:
            assert storage.service_client is not used
            for number in range(10):
                storage.save(f"child-{number}.txt", ContentFile(b"child"))
                assert storage.remote_file("before.txt").md5 == hashlib.md5(b"before").hexdigest()

        with rig.wire.recording() as seen:
            assert forked(use) == 0
            storage.save("after.txt", ContentFile(b"after"))
        assert storage.service_client is used
        assert {request.status for request in seen} == {200, 201}
        assert len(rig.raw_list()) == 12

    def test_a_pickle_holds_no_client(self, rig: Rig) -> None:
        storage = rig.storage()
        storage.save("a.txt", ContentFile(b"a"))
        copied = pickle.loads(pickle.dumps(storage))
        assert copied._client is copied._service_client is None
        assert copied.remote_file("a.txt") == storage.remote_file("a.txt")

    def test_32_threads_keep_their_connections(self, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
        from concurrent.futures import ThreadPoolExecutor

        storage = rig.storage("static")
        rig.wire.delay(0.05, times=64)
        with caplog.at_level(logging.WARNING, logger="urllib3"), ThreadPoolExecutor(32) as pool:
            list(pool.map(lambda number: storage.save(f"{number}.txt", ContentFile(b"x")), range(64)))
        assert "Connection pool is full" not in caplog.text
        assert len(rig.raw_list()) == 64

    def test_one_bad_moment_is_survived(self, rig: Rig) -> None:
        rig.wire.fail(503, code="ServerBusy", times=1)
        rig.storage().save("a.txt", ContentFile(b"a"))
        assert rig.raw_get("a.txt") == b"a"

    def test_what_is_to_be_thought_of_errors(self, rig: Rig) -> None:
        storage = rig.storage(**NO_RETRY)
        rig.wire.fail(500, code="InternalError", operation="stat")
        with pytest.raises(HttpResponseError) as caught:
            storage.remote_file("a.txt")
        assert (storage.is_unavailable(caught.value), storage.is_fatal(caught.value)) == (True, False)
        with rig.wire.outage(), pytest.raises(Exception) as unreachable:
            storage.remote_file("a.txt")
        assert (storage.is_unavailable(unreachable.value), storage.is_fatal(unreachable.value)) == (True, True)


class TestSecrets:
    def sas(self, rig: Rig) -> str:
        token: str = generate_container_sas(
            ACCOUNT, rig.bucket, account_key=KEY, permission="rwdl", expiry="2100-01-01T00:00:00Z"
        )
        return token

    def with_sas(self, rig: Rig, role: str = "static", **options: Any) -> Any:
        string = f"BlobEndpoint={rig.endpoint};SharedAccessSignature={self.sas(rig)}"
        given = {"connection_string": string, "account_key": None, "sas_token": self.sas(rig), **options}
        return rig.storage(role, **given)

    def test_a_signature_that_may_write_is_in_no_url_of_a_static_file(self, rig: Rig) -> None:
        storage = self.with_sas(rig)
        storage.save("a.css", ContentFile(b"a{}"))
        assert storage.url("a.css") == f"{rig.endpoint}/{rig.bucket}/a.css"
        assert "sig" not in storage.describe_remote()
        assert storage.remote_identity() == rig.storage("static").remote_identity()

    @pytest.mark.parametrize("outage", [False, True])
    def test_a_signature_is_in_no_message(self, rig: Rig, outage: bool) -> None:
        storage = self.with_sas(rig, **NO_RETRY)
        signature = self.sas(rig).partition("sig=")[2].partition("&")[0]
        if outage:
            rig.wire.down()
        else:
            rig.wire.fail(403, code="AuthenticationFailed")
        with pytest.raises(Exception) as caught:
            list(storage.remote_files())
        said = storage.describe_error(caught.value)
        assert signature not in said
        assert said.startswith("ServiceRequestError: " if outage else "AuthenticationFailed: ")
        assert "object at 0x" not in said
        assert "\n" not in said

    def test_a_wrong_key_is_told_without_being_shown(self, rig: Rig, tmp_path: Any) -> None:
        wrong = "d3Jvbmcta2V5LXdyb25nLWtleQ=="
        string = rig.options()["connection_string"].replace(KEY, wrong)
        project = Project.make(tmp_path, rig, connection_string=string, account_key=wrong)
        result = project.run("collectstatic", "--no-input")
        assert result.returncode != 0
        assert "AuthorizationFailure: Server failed to authenticate the request." in result.stderr
        assert rig.bucket in result.stderr
        assert wrong not in result.stdout + result.stderr
        assert "Traceback" not in result.stderr


class TestUrls:
    @pytest.mark.parametrize("name", ["a.css", "grün/☃ %23#?.css", ".well-known/x", "a~b'(c).js"])
    @pytest.mark.parametrize(
        "options", [{}, {"location": "st/a"}, {"location": "s", "custom_domain": "cdn.example.com"}]
    )
    def test_static_ones_are_those_of_the_storage_without_a_request(
        self, rig: Rig, name: str, options: dict[str, str]
    ) -> None:
        plain = rig.plain("static", **options)
        with rig.wire.recording() as seen:
            url = rig.storage("static", **options).url(name)
        if not name.startswith("."):
            assert url == plain.url(name)
        assert len(seen) == 0

    def test_the_root_has_one_too(self, rig: Rig) -> None:
        base = f"{rig.endpoint}/{rig.bucket}/"
        assert rig.storage("static").url("") == base
        assert rig.storage("static", location="st/a").url("") == rig.storage("static").url("st/a/") == f"{base}st/a/"

    def test_static_ones_are_never_signed_by_a_setting(self, rig: Rig) -> None:
        from django.test import override_settings

        with override_settings(AZURE_URL_EXPIRATION_SECS=60):
            assert "sig=" in rig.storage().url("a.css")
            assert "sig=" not in rig.storage("static").url("a.css")
            assert "sig=" in rig.storage("static").url("a.css", expire=60)


def test_a_missing_sdk_is_told_with_the_command_that_installs_it(rig: Rig) -> None:
    told = import_without("azure.storage.blob", "localmirror.backends.azure")
    assert told.strip().endswith('pip install "django-localmirror[azure]"')
