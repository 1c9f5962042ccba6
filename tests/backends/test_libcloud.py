"""What is particular to apache-libcloud: its drivers, how they are chosen, and what is mended in them."""

from __future__ import annotations

import contextlib
import glob
import gzip
import hashlib
import logging
import os
import pickle
import random
import re
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests
from django.core.exceptions import ImproperlyConfigured, SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.db import models
from django.db.migrations.writer import MigrationWriter
from django.test import override_settings
from libcloud.common.types import InvalidCredsError, LibcloudError
from libcloud.storage.types import ContainerDoesNotExistError
from storages.backends.apache_libcloud import LibCloudStorage

from localmirror import LocalMirrorMixin, StaticMirrorMixin
from localmirror.backends import _libcloud_driver
from localmirror.backends._libcloud_driver import Chunks
from localmirror.backends.libcloud import (
    LibCloudMirrorMixin,
    MirroredLibCloudManifestStaticStorage,
    MirroredLibCloudStaticStorage,
    MirroredLibCloudStorage,
)
from localmirror.checks import check_mirrored_storages
from localmirror.content import CHUNK_SIZE, SpooledContent

from ..corpus import FILES, Project
from ..readme import ROOT
from ..rigs import AzureRig, LibCloudLocalRig, LibCloudS3Rig, Rig, S3MotoRig, S3RcloneRig, prepared
from ..servers.rclone_s3 import RcloneS3
from .helpers import MEMORY_LIMIT, forked, import_without, mirrored, peak_megabytes

LARGE = random.Random(20).randbytes(20_000_001)


class ByOptions(Rig):
    """A provider that is configured by OPTIONS alone, at a server of another rig."""

    driver: ClassVar[str]
    module, prefix = "libcloud", "LibCloud"

    def account(self) -> tuple[str, str]:
        keys = self.server.credentials
        return keys["aws_access_key_id"], keys["aws_secret_access_key"]

    def options(self, role: str = "media", **options: Any) -> dict[str, Any]:
        user, key = self.account()
        place = {"host": "127.0.0.1", "port": self.wire.port, "secure": False}
        return {"type": self.driver, "user": user, "key": key, "bucket": self.bucket, **place, **options}


class S3ByOptions(ByOptions, S3RcloneRig):
    name = "libcloud-s3-rclone"
    driver = "libcloud.storage.types.Provider.S3"


class Minio(ByOptions, S3RcloneRig):
    name = "libcloud-minio"
    driver = "MINIO"


class Ceph(ByOptions, S3MotoRig):
    name = "libcloud-ceph"
    driver = "s3_rgw"


class AzureBlobs(ByOptions, AzureRig):
    name = "libcloud-azure"
    driver = "AZURE_BLOBS"

    def account(self) -> tuple[str, str]:
        given = AzureRig.options(self)
        return given["account_name"], given["account_key"]


DRIVERS: dict[str, type[Rig]] = {
    rig.name: rig for rig in (LibCloudLocalRig, LibCloudS3Rig, S3ByOptions, Minio, Ceph, AzureBlobs)
}
OVER_HTTP = [name for name in DRIVERS if name != "libcloud-local"]


@pytest.fixture
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with prepared(DRIVERS[request.param], tmp_path) as ready:
        yield ready


def on(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("rig", names, indirect=True)


def local(directory: Path) -> dict[str, Any]:
    """Return options for the LOCAL driver."""
    (directory / "bucket").mkdir(exist_ok=True)
    return {
        "type": "LOCAL",
        "user": str(directory),
        "bucket": "bucket",
        "mirror_location": str(directory / "mirror"),
    }


@on(*DRIVERS)
class TestWholeFiles:
    CONTENTS: ClassVar[dict[str, bytes]] = {
        "empty.txt": b"",
        "lines.txt": b"\n" * 300_000,
        "пример/☃ %23#?+&'!.txt": "снег\n".encode(),
        ".well-known/x": b"x",
        "large.bin": LARGE,
    }

    def test_there_and_back(self, rig: Rig) -> None:
        storage = rig.storage("static")
        for name, content in self.CONTENTS.items():
            assert storage.save(name, ContentFile(content)) == name
        assert rig.raw_all() == self.CONTENTS
        fresh = rig.storage("static", mirror_location=str(rig.directory / "fresh"))
        for name, content in self.CONTENTS.items():
            with fresh.open(name) as file:
                assert file.read() == content

    def test_the_listing_tells_size_and_version_as_a_question_for_one_file_does(self, rig: Rig) -> None:
        storage = rig.storage("static")
        for name, content in self.CONTENTS.items():
            storage.save(name, ContentFile(content))
        listed = {file.name: file for file in storage.remote_files()}
        assert {name: file.size for name, file in listed.items()} == {n: len(c) for n, c in self.CONTENTS.items()}
        for name, file in listed.items():
            asked = storage.remote_file(name)
            assert asked.fingerprint == file.fingerprint is not None
            assert abs(file.modified - datetime.now(UTC)).total_seconds() < 100
            md5 = hashlib.md5(self.CONTENTS[name]).hexdigest()
            assert file.md5 == (md5 if storage.listing_tells_content else None)

    def test_overwriting_leaves_one_file(self, rig: Rig) -> None:
        storage = rig.storage("static")
        for content in (b"long long", b"short", b""):
            assert storage.save("a.txt", ContentFile(content)) == "a.txt"
            assert rig.raw_all() == mirrored(rig) == {"a.txt": content}

    def test_threads(self, rig: Rig) -> None:
        storage = rig.storage("static")
        contents = {f"dir-{n % 4}/{n}.txt": bytes([n]) * (n * 1000) for n in range(48)}

        def there_and_back(item: tuple[str, bytes]) -> bool:
            name, content = item
            storage.save(name, ContentFile(content))
            told = storage.remote_file(name)
            target = tempfile.TemporaryFile()  # noqa: SIM115
            storage.download(name, target)
            target.seek(0)
            return told.size == len(content) and target.read() == content

        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(there_and_back, contents.items()))
        assert rig.raw_all() == contents

    def test_a_deployment(self, rig: Rig, tmp_path: Path) -> None:
        project = Project.make(tmp_path, rig)
        result = project.run("collectstatic", "--no-input")
        assert result.returncode == 0, result
        assert {*FILES, "staticfiles.json"} <= rig.raw_all().keys()
        unchanged = project.run("collectstatic", "--no-input")
        assert unchanged.last_line == f"{2 * len(FILES)} files in the release: 0 uploaded (0 B), 30 already there."


@on(*OVER_HTTP)
class TestRequests:
    def test_one_for_each_file(self, rig: Rig) -> None:
        per_upload = 2 if rig.prefix == "LibCloud" and rig.name == "libcloud-azure" else 1
        storage = rig.storage("static")
        with rig.wire.recording() as sent:
            storage.save("a.txt", ContentFile(b"a" * 300_000))
        assert sent.counts() == {"PUT": per_upload}
        with rig.wire.recording() as emptied:
            storage.save("empty.txt", ContentFile(b""))
        assert emptied.counts() == {"PUT": 1}
        assert emptied[0].headers["content-length"] == "0" or per_upload == 2
        assert "transfer-encoding" not in emptied[0].headers
        with rig.wire.recording() as asked:
            assert storage.remote_file("a.txt")
            assert storage.remote_file("b.txt") is None
        assert asked.counts() == {"HEAD": 2}
        fresh = rig.storage("static", mirror_location=str(rig.directory / "fresh"))
        with rig.wire.recording() as fetched, fresh.open("a.txt") as file:
            assert len(file.read()) == 300_000
        assert fetched.counts() == {"GET": 1}
        with rig.wire.recording() as deleted:
            storage.delete("a.txt")
        assert deleted.counts() == {"DELETE": 1}

    def test_a_listing_asks_for_what_is_below_the_prefix(self, rig: Rig) -> None:
        for name in ("st/a.txt", "st/dir/b.txt", "st/dir/sub/c.txt", "st-2/d.txt", "e.txt"):
            rig.raw_put(name, b"x")
        storage = rig.storage("static", location="st/")
        with rig.wire.recording() as seen:
            assert sorted(file.name for file in storage.remote_files()) == ["a.txt", "dir/b.txt", "dir/sub/c.txt"]
            assert storage.listdir("") == (["dir"], ["a.txt"])
            assert storage.listdir("dir/") == (["sub"], ["b.txt"])
            assert storage.listdir("nowhere") == ([], [])
        assert [request.query["prefix"] for request in seen] == ["st/", "st/", "st/dir/", "st/nowhere/"]

    def test_urls_cost_none(self, rig: Rig) -> None:
        with rig.wire.recording() as seen:
            for role in ("media", "static"):
                rig.storage(role).url("a.txt")
                rig.storage(role).base_address()
        assert not seen

    def test_one_bad_moment_is_survived(self, rig: Rig) -> None:
        rig.wire.fail(503, method="PUT", times=1)
        storage = rig.storage("static")
        storage.save("a.txt", ContentFile(LARGE[:1_000_000]))
        assert rig.raw_get("a.txt") == LARGE[:1_000_000]

    def test_a_download_that_is_cut_is_no_file(self, rig: Rig) -> None:
        rig.raw_put("large.bin", LARGE)
        storage = rig.storage("static")
        rig.wire.cut(method="GET")
        with pytest.raises(requests.RequestException) as caught:
            storage.open("large.bin")
        assert storage.is_unavailable(caught.value)
        assert mirrored(rig) == {}

    def test_headers(self, rig: Rig) -> None:
        storage = rig.storage("static", upload_headers={"Cache-Control": "max-age=60"})
        name = f"site.{hashlib.md5(b'a{}').hexdigest()[:12]}.css"
        storage.save(name, ContentFile(b"a{}"))
        storage.save("a.css", ContentFile(b"a{}"))
        head = rig.raw_head(name)
        assert (head.cache_control, head.content_type) == ("public, max-age=31536000, immutable", "text/css")
        head = rig.raw_head("a.css")
        assert (head.cache_control, head.content_type, head.content_encoding) == ("max-age=60", "text/css", None)
        typed = ContentFile(b"x")
        typed.content_type = "font/woff2"  # type: ignore[attr-defined]
        storage.save("icons", typed)
        assert rig.raw_head("icons").content_type == "font/woff2"

    def test_what_is_compressed_itself_stays_so_and_what_others_have_compressed_is_unpacked(self, rig: Rig) -> None:
        packed = gzip.compress(b"a{}")
        storage = rig.storage("static")
        with (rig.directory / "sibling").open("w+b") as file:
            file.write(packed)
            file.seek(0)
            content = SpooledContent(file, "a.css.gz", file.name, len(packed))
            content.stand_for("a.css", "gzip")
            storage.upload("a.css.gz", content, immutable=False)
        storage.save("b.svgz", ContentFile(packed))
        rig.raw_put("c.css", packed, content_encoding="gzip", content_type="text/css")
        assert rig.raw_head("a.css.gz").content_encoding == rig.raw_head("b.svgz").content_encoding == "gzip"
        fresh = rig.storage("static", mirror_location=str(rig.directory / "fresh"))
        read = {name: fresh.open(name).read() for name in ("a.css.gz", "b.svgz", "c.css")}
        assert read == {"a.css.gz": packed, "b.svgz": packed, "c.css": b"a{}"}


@on("libcloud-s3-moto")
class TestParts:
    def test_more_than_s3_takes_at_once_goes_in_parts(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_libcloud_driver, "_LARGEST_IN_ONE_PIECE", 1_000_000)
        storage = rig.storage("static")
        with rig.wire.recording() as seen:
            storage.save("large.bin", ContentFile(LARGE))
        assert seen.counts()["POST"] == 2
        assert rig.raw_get("large.bin") == LARGE
        assert storage.remote_file("large.bin").md5 is None

    def test_memory_does_not_grow_with_the_file(self, rig: Rig) -> None:
        path = rig.directory / "large.bin"
        with open(path, "wb") as file:
            file.truncate(300 << 20)
        rig.module, given = "libcloud", rig.provider()  # type: ignore[attr-defined]
        given |= {"type": "S3", "host": "127.0.0.1", "port": rig.wire.port, "secure": False, "provider_name": None}
        del given["project"]
        code = f"with open({str(path)!r}, 'rb') as file:\n    storage.save('large.bin', file)"
        assert peak_megabytes(rig, f"from django.core.files import File\n{code}", **given) < MEMORY_LIMIT
        other = str(rig.directory / "other")
        fetch = "storage.open('large.bin').close()"
        assert peak_megabytes(rig, fetch, mirror_location=other, **given) < MEMORY_LIMIT
        assert (rig.directory / "other" / "large.bin").stat().st_size == 300 << 20


def test_a_file_is_handed_over_in_chunks_that_are_no_lines() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"\n" * 1_000_000)
        file.seek(0)
        pieces = [len(piece) for piece in Chunks(file, 1_000_000)]
    assert pieces == [CHUNK_SIZE] * 3 + [1_000_000 - 3 * CHUNK_SIZE]


class TestErrors:
    @on(*DRIVERS)
    @pytest.mark.parametrize("call", ["open", "size", "get_modified_time"])
    def test_a_missing_file(self, rig: Rig, call: str) -> None:
        rig.raw_put("dir/a.txt", b"x")
        # rclone answers with an error when directories, or names below a file, are to be deleted.
        for name in ("b.txt", *(["dir", "dir/a.txt/b"] if rig.server_class is not RcloneS3 else [])):
            with pytest.raises(FileNotFoundError, match=rig.bucket):
                getattr(rig.storage(), call)(name)
            assert not rig.storage().exists(name)
            rig.storage().delete(name)
        assert rig.raw_list() == ["dir/a.txt"]

    @on("libcloud-s3-moto", "libcloud-azure")
    @pytest.mark.parametrize("status", [400, 403, 409, 500])
    @pytest.mark.parametrize("call", ["open", "exists", "size", "delete", "get_modified_time"])
    def test_a_refusal_is_never_taken_for_a_missing_file(self, rig: Rig, status: int, call: str) -> None:
        storage = rig.storage()
        rig.raw_put("a.txt", b"x")
        rig.wire.fail(status)
        with pytest.raises(Exception) as caught:
            getattr(storage, call)("a.txt")
        assert not isinstance(caught.value, FileNotFoundError)
        assert storage.is_unavailable(caught.value) == (status == 500)

    @on(*DRIVERS)
    def test_a_container_that_is_not_there(self, rig: Rig) -> None:
        storage = rig.storage("static", bucket="nowhere")
        for ask in (
            lambda: list(storage.remote_files()),
            lambda: storage.save("a.txt", ContentFile(b"x")),
        ):
            with pytest.raises((LibcloudError, ContainerDoesNotExistError)) as caught:
                ask()
            assert storage.describe_error(caught.value) == "There is no container 'nowhere' (HTTP 404)."
            assert storage.is_fatal(caught.value)

    @on(*OVER_HTTP)
    @pytest.mark.parametrize("call", ["open", "exists", "size", "delete"])
    def test_a_missing_container_is_not_taken_for_an_empty_one(self, rig: Rig, call: str) -> None:
        storage = rig.storage(bucket=f"nowhere-{call}")
        with pytest.raises(ContainerDoesNotExistError):
            getattr(storage, call)("a.txt")

    @on(*OVER_HTTP)
    def test_a_release_does_not_start_without_its_container(self, rig: Rig) -> None:
        with pytest.raises(ContainerDoesNotExistError):
            rig.storage("manifest", bucket="nowhere-at-all")

    @on("libcloud-s3-moto", "libcloud-azure")
    def test_the_container_is_asked_for_once(self, rig: Rig) -> None:
        storage = rig.storage()
        with rig.wire.recording() as requests:
            for name in ("a.txt", "b.txt"):
                assert not storage.exists(name)
        assert len(requests) == 3

    @on("libcloud-minio", "libcloud-azure")
    @pytest.mark.parametrize("call", ["open", "exists", "size"])
    def test_a_wrong_key_stops_everything_with_a_sentence(self, rig: Rig, call: str) -> None:
        rig.raw_put("a.txt", b"x")
        storage = rig.storage(key="d3Jvbmcta2V5LXdyb25nLWtleQ==")
        with pytest.raises(LibcloudError) as caught:
            getattr(storage, call)("a.txt")
        assert re.fullmatch("Access was refused: [^ ].*", storage.describe_error(caught.value))
        assert storage.is_fatal(caught.value)

    @on(*DRIVERS)
    def test_when_a_missing_file_was_created(self, rig: Rig) -> None:
        with pytest.raises(FileNotFoundError, match=rig.bucket):
            rig.storage("static").get_created_time("a.txt")

    @on("libcloud-minio", "libcloud-azure")
    def test_a_wrong_key_is_told_without_being_shown(self, rig: Rig) -> None:
        wrong = "d3Jvbmcta2V5LXdyb25nLWtleQ=="
        storage = rig.storage("static", key=wrong)
        with pytest.raises(InvalidCredsError) as caught:
            list(storage.remote_files())
        said = storage.describe_error(caught.value)
        assert said.startswith("Access was refused: ")
        assert wrong not in said
        assert "\n" not in said
        assert storage.is_fatal(caught.value)
        assert wrong not in storage.describe_remote()

    @on(*OVER_HTTP)
    def test_nobody_there(self, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
        storage = rig.storage("static", mirror_max_age=0)
        storage.save("a.txt", ContentFile(b"a"))
        with rig.wire.outage(), caplog.at_level(logging.WARNING, logger="localmirror"):
            with storage.open("a.txt") as file:
                assert file.read() == b"a"
            with pytest.raises(requests.ConnectionError) as caught:
                storage.save("b.txt", ContentFile(b"b"))
        assert "Serving 'a.txt' from the mirror" in caplog.text
        assert storage.is_fatal(caught.value)
        assert "?" not in storage.describe_error(caught.value)

    def test_a_missing_library_is_told_with_the_command_that_installs_it(self) -> None:
        told = import_without("libcloud", "localmirror.backends.libcloud")
        assert told.strip().endswith('pip install "django-localmirror[libcloud]"')


class TestUrls:
    NAME = "grün/a b#c.css"
    QUOTED = "gr%C3%BCn/a%20b%23c.css"

    @on(*DRIVERS)
    def test_those_of_static_files_are_public_and_plain(self, rig: Rig) -> None:
        url = rig.storage("static", location="st/a").url(self.NAME)
        if rig.name == "libcloud-local":
            assert url == f"/static/{self.QUOTED}"
        else:
            account = "devstoreaccount1/" if rig.name == "libcloud-azure" else ""
            assert url == f"http://127.0.0.1:{rig.wire.port}/{account}{rig.bucket}/st/a/{self.QUOTED}"

    @pytest.mark.parametrize("role", ["media", "static"])
    @pytest.mark.parametrize("base", ["https://cdn.example.com/st/", "/st/", "/st"])
    @on("libcloud-local", "libcloud-s3-moto")
    def test_a_base_url_comes_first(self, rig: Rig, role: str, base: str) -> None:
        storage = rig.storage(role, base_url=base, location="st")
        assert storage.url(self.NAME) == storage.url(f"/{self.NAME}") == f"{base.rstrip('/')}/{self.QUOTED}"

    @pytest.mark.parametrize("options", [{}, {"base_url": "/st/"}])
    @on("libcloud-local", "libcloud-s3-moto")
    def test_none_leads_out_of_the_storage(self, rig: Rig, options: dict[str, str]) -> None:
        with pytest.raises(SuspiciousFileOperation):
            rig.storage("static", **options).url("../a.txt")

    @on(*OVER_HTTP)
    def test_those_of_media_are_signed_where_the_driver_can(self, rig: Rig) -> None:
        rig.raw_put("a b.txt", b"secret")
        signed = rig.storage().url("a b.txt")
        can = rig.name not in ("libcloud-minio", "libcloud-ceph")
        assert ("sig" in signed.lower()) == can
        assert "?" not in rig.storage(querystring_auth=False).url("a b.txt")

    @on("libcloud-azure")
    def test_a_signed_one_opens(self, rig: Rig) -> None:
        rig.raw_put("dir/a.txt", b"secret")
        assert requests.get(rig.storage().url("dir/a.txt"), timeout=10).content == b"secret"
        assert requests.get(rig.storage(querystring_auth=False).url("dir/a.txt"), timeout=10).status_code in (403, 404)

    def test_amazon_and_google(self, tmp_path: Path) -> None:
        common = {"mirror_location": str(tmp_path), "user": "user", "key": "c2VjcmV0", "bucket": "example"}
        for kind, more, address in (
            ("S3", {"region": "eu-west-1"}, "https://s3-eu-west-1.amazonaws.com/example/a.css"),
            ("GOOGLE_STORAGE", {"user": "GOOG0123456789ABCXYZ"}, "https://storage.googleapis.com/example/a.css"),
            ("AZURE_BLOBS", {}, "https://user.blob.core.windows.net/example/a.css"),
            ("DIGITALOCEAN_SPACES", {"region": "nyc3"}, "https://nyc3.digitaloceanspaces.com/example/a.css"),
        ):
            storage = MirroredLibCloudStaticStorage(type=kind, **{**common, **more})
            assert storage.url("a.css") == address
            assert storage.base_address() == address.removesuffix("a.css")


class TestConfiguration:
    @pytest.mark.parametrize("spelling", ["LOCAL", "local", "libcloud.storage.types.Provider.LOCAL"])
    def test_a_provider_by_options(self, tmp_path: Path, spelling: str) -> None:
        storage = MirroredLibCloudStorage(**{**local(tmp_path), "type": spelling})
        storage.save("a.txt", ContentFile(b"a"))
        assert (tmp_path / "bucket" / "a.txt").read_bytes() == b"a"

    def test_a_provider_by_settings_and_options_over_it(self, tmp_path: Path) -> None:
        mirror = str(tmp_path / "mirror")
        provider = {k: v for k, v in local(tmp_path).items() if k != "mirror_location"}
        (tmp_path / "other").mkdir()
        with override_settings(LIBCLOUD_PROVIDERS={"default": provider, "two": {**provider, "bucket": "other"}}):
            MirroredLibCloudStorage(mirror_location=mirror).save("a.txt", ContentFile(b"1"))
            MirroredLibCloudStorage("two", mirror_location=mirror).save("b.txt", ContentFile(b"2"))
            MirroredLibCloudStorage("two", bucket="bucket", mirror_location=mirror).save("c.txt", ContentFile(b"3"))
            with override_settings(DEFAULT_LIBCLOUD_PROVIDER="two"):
                MirroredLibCloudStorage(mirror_location=mirror).save("d.txt", ContentFile(b"4"))
        assert sorted(os.listdir(tmp_path / "bucket")) == [".lock", "a.txt", "c.txt"]
        assert sorted(os.listdir(tmp_path / "other")) == [".lock", "b.txt", "d.txt"]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"type": None}, "the provider has no 'type'"),
            ({"bucket": ""}, "the provider has no 'bucket'"),
            ({"user": None}, "the provider has no 'user'"),
            ({"type": "S4"}, "libcloud's driver 'S4' cannot be had"),
            ({"type": "S3", "regoin": "eu-west-1"}, "has no option 'regoin'. Did you mean 'region'?"),
            ({"base_ulr": "/"}, "has no option 'base_ulr'. Did you mean 'base_url'?"),
            ({"mirror_worker": 3}, "Did you mean 'mirror_workers'?"),
            ({"location": "/static"}, "cannot begin with a leading slash"),
        ],
    )
    def test_mistakes(self, tmp_path: Path, change: dict[str, Any], said: str) -> None:
        with pytest.raises(ImproperlyConfigured) as caught:
            MirroredLibCloudStorage(**{**local(tmp_path), **change})
        assert said in str(caught.value)

    @override_settings(LIBCLOUD_PROVIDERS={})
    def test_no_provider_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(ImproperlyConfigured, match="LIBCLOUD_PROVIDERS has no 'default'"):
            MirroredLibCloudStorage(mirror_location=str(tmp_path))

    def test_arguments_of_drivers_that_no_signature_names_go_through(self, tmp_path: Path) -> None:
        given = {"type": "OPENSTACK_SWIFT", "user": "u", "key": "k", "bucket": "b", "mirror_location": str(tmp_path)}
        more = {"ex_force_auth_url": "http://127.0.0.1:9", "ex_tenant_name": "t", "ex_force_service_region": "r"}
        storage = MirroredLibCloudStorage(**given, **more, ex_force_auth_version="3.x_password")
        assert storage.driver.connection._ex_tenant_name == "t"

    def test_a_driver_that_cannot_be_set_up_keeps_its_secret(self, tmp_path: Path) -> None:
        given = {**local(tmp_path), "type": "AZURE_BLOBS", "key": "no base64 at all!"}
        with pytest.raises(ImproperlyConfigured, match="AzureBlobsStorageDriver cannot be set up") as caught:
            list(MirroredLibCloudStorage(**given).remote_files())
        assert given["key"] not in str(caught.value)

    @on("libcloud-s3-moto")
    def test_names_that_are_taken(self, rig: Rig) -> None:
        for role, options, same in (
            ("media", {}, False),
            ("media", {"file_overwrite": True}, True),
            ("static", {}, True),
        ):
            storage = rig.storage(role, **options)
            storage.save("a.txt", ContentFile(b"1"))
            assert (storage.save("a.txt", ContentFile(b"2")) == "a.txt") == same

    @on("libcloud-s3-moto")
    @pytest.mark.parametrize("use_tz", [True, False])
    def test_dates(self, rig: Rig, use_tz: bool) -> None:
        with override_settings(USE_TZ=use_tz):
            storage = rig.storage("static")
            storage.save("a.txt", ContentFile(b"a"))
            modified = storage.get_modified_time("a.txt")
            assert (modified.tzinfo is not None) == use_tz
            assert abs(modified.timestamp() - datetime.now().timestamp()) < 100

    @on(*DRIVERS)
    def test_another_bucket_location_or_place_is_another_remote(self, rig: Rig) -> None:
        mine = rig.storage("static").remote_identity()
        assert rig.storage("static", key="b3RoZXI=").remote_identity() == mine
        assert (
            len({mine, *(rig.storage("static", **o).remote_identity() for o in ({"bucket": "b"}, {"location": "l"}))})
            == 3
        )


class TestStorages:
    @on(*DRIVERS)
    def test_pickles_and_forks(self, rig: Rig) -> None:
        storage = rig.storage("static")
        storage.save("before.txt", ContentFile(b"before"))
        copied = pickle.loads(pickle.dumps(storage))
        assert copied.remote_file("before.txt") == storage.remote_file("before.txt")
        used = storage.driver

        def use() -> None:
            assert storage.driver is not used
            for number in range(5):
                storage.save(f"child-{number}.txt", ContentFile(b"child"))
                assert storage.remote_file("before.txt").size == 6

        assert forked(use) == 0
        storage.save("after.txt", ContentFile(b"after"))
        assert storage.driver is used
        assert len(rig.raw_list()) == 7

    def test_a_field_in_a_migration(self, tmp_path: Path) -> None:
        storage = MirroredLibCloudStorage(**local(tmp_path))
        written, imports = MigrationWriter.serialize(models.FileField(storage=storage))
        assert "localmirror.backends.libcloud.MirroredLibCloudStorage(" in written
        assert "import localmirror.backends.libcloud" in imports

    @on("libcloud-local", "libcloud-s3-moto")
    def test_a_class_stacked_by_hand_is_mended_as_well(self, rig: Rig) -> None:
        class ByHand(StaticMirrorMixin, LocalMirrorMixin, LibCloudStorage):
            pass

        assert issubclass(ByHand, LibCloudMirrorMixin)
        storage = ByHand("rig", mirror_location=str(rig.mirror))
        storage.save("large.bin", ContentFile(LARGE))
        storage.save("empty.txt", ContentFile(b""))
        storage.save("empty.txt", ContentFile(b""))
        assert rig.raw_all() == {"large.bin": LARGE, "empty.txt": b""}
        assert storage.url("empty.txt") == rig.storage("static").url("empty.txt")
        fresh = ByHand("rig", mirror_location=str(rig.directory / "fresh"))
        assert fresh.open("large.bin").read() == LARGE
        assert fresh.remote_identity() == rig.storage("static").remote_identity()


class TestLocalDriver:
    @on("libcloud-local")
    def test_a_reader_sees_the_old_file_or_the_new_one(self, rig: Any) -> None:
        storage = rig.storage("static")
        old, new = b"o" * 3_000_000, b"n" * 3_000_000
        storage.save("a.bin", ContentFile(old))
        seen = set()
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                seen.add(rig.raw_get("a.bin"))

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for content in (new, old) * 5:
                storage.save("a.bin", ContentFile(content))
        finally:
            done.set()
            reader.join(10)
        assert seen <= {old, new}
        assert os.listdir(rig.root / ".lock") == []

    @on("libcloud-local")
    def test_a_failure_leaves_nothing(self, rig: Any) -> None:
        rig.raw_put("taken/x", b"x")
        with pytest.raises(OSError):
            rig.storage("static").save("taken", ContentFile(b"y"))
        assert rig.raw_list() == ["taken/x"]
        assert mirrored(rig) == {}

    @on("libcloud-local")
    def test_no_lock_files_are_left_in_the_system(self, rig: Rig) -> None:
        def locks() -> set[str]:
            return set(glob.glob(os.path.join(tempfile.gettempdir(), "*.lock")))

        before = locks()
        storage = rig.storage("static")
        storage.save("a.txt", ContentFile(b"a"))
        storage.delete("a.txt")
        assert locks() == before

    @on("libcloud-local")
    def test_a_change_behind_our_back_is_noticed_although_the_driver_knows_no_digest(self, rig: Any) -> None:
        storage = rig.storage("static", mirror_max_age=0)
        storage.save("a.txt", ContentFile(b"one"))
        rig.raw_put("a.txt", b"two")
        os.utime(rig.root / "a.txt", (1_000_000_000, 1_000_000_000))
        with storage.open("a.txt") as file:
            assert file.read() == b"two"


def checks(**options: Any) -> list[str]:
    """Return the ids of what the checks find in a static storage with these options."""
    backend = options.pop("backend", "MirroredLibCloudManifestStaticStorage")
    entry = {"BACKEND": f"localmirror.backends.libcloud.{backend}", "OPTIONS": options}
    with override_settings(STORAGES={"default": entry}):
        return [str(found.id) for found in check_mirrored_storages(None) if "libcloud" in str(found.id)]


class TestChecks:
    def test_a_driver_without_headers(self, tmp_path: Path) -> None:
        given = local(tmp_path)
        assert checks(**given) == ["localmirror_libcloud.W001"]
        assert checks(**given, mirror_immutable_cache_control=None) == []
        assert checks(**given, backend="MirroredLibCloudStorage") == []
        assert checks(**{**given, "type": "S3", "key": "x"}) == []
        assert checks(**{**given, "type": "AZURE_BLOBS", "key": "eA=="}) == []

    @pytest.mark.parametrize("kind", ["BACKBLAZE_B2", "ALIYUN_OSS"])
    @pytest.mark.parametrize("backend", ["MirroredLibCloudStorage", "MirroredLibCloudStaticStorage"])
    def test_drivers_that_lose_files(self, tmp_path: Path, kind: str, backend: str) -> None:
        given = {**local(tmp_path), "type": kind, "key": "x", "base_url": "/st/"}
        assert checks(**given, backend=backend) == ["localmirror_libcloud.E001"]

    @override_settings(LIBCLOUD_PROVIDERS={"default": {"type": "BACKBLAZE_B2", "user": "u", "key": "k", "bucket": "b"}})
    def test_a_provider_of_the_settings(self, tmp_path: Path) -> None:
        assert checks(mirror_location=str(tmp_path)) == ["localmirror_libcloud.E001"]

    def test_what_cannot_be_configured_is_reported_once(self, tmp_path: Path) -> None:
        entry = {
            "BACKEND": "localmirror.backends.libcloud.MirroredLibCloudStorage",
            "OPTIONS": {**local(tmp_path), "type": "S4"},
        }
        with override_settings(STORAGES={"default": entry}):
            (found,) = check_mirrored_storages(None)
        assert found.id == "localmirror.E005"
        assert "'S4'" in found.msg

    def test_they_are_documented(self) -> None:
        page = (ROOT / "docs" / "backends" / "libcloud.rst").read_text(encoding="utf-8")
        sources = [file.read_text(encoding="utf-8") for file in (ROOT / "backends").glob("_libcloud*.py")]
        ids = {"localmirror_libcloud.E001", "localmirror_libcloud.W001"}
        assert all(any(f'"{check}"' in source for source in sources) for check in ids)
        for check in ids:
            assert f".. _{check}:" in page


@pytest.mark.parametrize("fault", ["500", "directory"])
@on("libcloud-local", "libcloud-s3-moto")
def test_a_failed_upload_leaves_the_old_release_live(rig: Any, tmp_path: Path, fault: str) -> None:
    if (fault == "500") != rig.http:
        pytest.skip("this fault is another server's")
    project = Project.make(tmp_path, rig)
    project.call("collectstatic", interactive=False)
    live = rig.raw_get("staticfiles.json")
    content = project.corpus.change("js/lib/util.js")
    name = f"js/lib/util.{hashlib.md5(content).hexdigest()[:12]}.js"
    if rig.http:
        rig.wire.fail(500, name=name)
    else:
        (rig.root / name / "in the way").mkdir(parents=True)
    failed = project.run("collectstatic", "--no-input")
    assert failed.returncode == 1
    assert name in failed.stdout + failed.stderr
    assert rig.raw_get("staticfiles.json") == live
    with contextlib.suppress(AttributeError):
        rig.wire.reset()
    if not rig.http:
        (rig.root / name / "in the way").rmdir()
        (rig.root / name).rmdir()
    assert project.run("collectstatic", "--no-input").returncode == 0
    assert rig.raw_get(name) == content
    storage = project.storage()
    assert isinstance(storage, MirroredLibCloudManifestStaticStorage)
    assert storage.hashed_files["js/lib/util.js"] == name
