"""Every server answers through the storage class without a mirror: a failure here is not the mirror's."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.cache.backends.memcached import PyMemcacheCache
from django.core.cache.backends.redis import RedisCache
from django.core.files.base import ContentFile

from .corpus import FILES, Corpus, Project
from .rigs import RIGS, Rig
from .servers import ProcessServer, Server, require
from .servers.azurite import Azurite
from .servers.base import accepts_connections
from .servers.gcs import Gcs, GcsInProcess
from .servers.memcached import Memcached
from .servers.moto import Moto, MotoInProcess
from .servers.rclone_s3 import RcloneS3
from .servers.redis import Redis

CONTENTS = {
    "css/a.css": b"a{}\r\n",
    "bytes.bin": bytes(range(256)) * 300 + b"\r\n--\n\r",
    "grün/☃ 100%.txt": "ü".encode(),
    "large.bin": b"0123456789abcdef" * 65536,
}


def test_a_storage_saves_and_reads(rig: Rig) -> None:
    storage = rig.plain()

    for name, content in CONTENTS.items():
        assert storage.save(name, ContentFile(content)) == name

    assert rig.raw_list() == sorted(CONTENTS)
    assert rig.raw_all() == CONTENTS
    for name, content in CONTENTS.items():
        assert storage.exists(name)
        if rig.exact_size:
            assert storage.size(name) == len(content)
        with storage.open(name) as file:
            assert file.read() == content
    storage.delete("css/a.css")
    assert not storage.exists("css/a.css")
    assert "css/a.css" not in rig.raw_list()


def test_what_is_put_behind_the_back_of_the_proxy_is_seen(rig: Rig) -> None:
    for name, content in CONTENTS.items():
        rig.raw_put(name, content)

    assert rig.raw_all() == CONTENTS
    with rig.plain().open("bytes.bin") as file:
        assert file.read() == CONTENTS["bytes.bin"]
    if rig.http:
        assert rig.wire.requests.names("download") == ["bytes.bin"]
    rig.raw_delete("bytes.bin")
    rig.raw_delete("bytes.bin")
    for missing in (rig.raw_get, rig.raw_head):
        with pytest.raises(FileNotFoundError):
            missing("bytes.bin")


@pytest.mark.parametrize("rig", [rig.name for rig in RIGS if rig.headers], indirect=True)
def test_headers_are_kept(rig: Rig) -> None:
    rig.raw_put("a.css", b"a{}", content_type="text/css", content_encoding="br", cache_control="max-age=9")

    head = rig.raw_head("a.css")

    assert (head.content_type, head.content_encoding, head.cache_control) == ("text/css", "br", "max-age=9")
    assert (head.size, head.md5) == (3, hashlib.md5(b"a{}").hexdigest())


@pytest.mark.parametrize("rig", [rig.name for rig in RIGS if rig.gzip], indirect=True)
def test_gzipped_content_is_stored_gzipped(rig: Rig) -> None:
    storage = rig.plain(gzip=True)
    storage.save("a.css", ContentFile(b"a{}" * 1000))

    assert rig.raw_get("a.css").startswith(b"\x1f\x8b")
    assert rig.raw_head("a.css").content_encoding == "gzip"
    with storage.open("a.css") as file:
        assert file.read() == b"a{}" * 1000


@pytest.mark.parametrize("rig", [rig.name for rig in RIGS if rig.location], indirect=True)
def test_a_location_is_part_of_the_key(rig: Rig) -> None:
    rig.plain(location="static").save("a.css", ContentFile(b"a{}"))

    assert rig.raw_list() == ["static/a.css"]


@pytest.mark.parametrize("rig", [rig.name for rig in RIGS if rig.flat_listing and rig.http], indirect=True)
def test_requests_are_told_apart(rig: Rig) -> None:
    storage = rig.plain()
    with rig.wire.recording() as saving:
        storage.save("css/grün.css", ContentFile(b"a{}"))
    with rig.wire.recording() as listing:
        storage.listdir("")

    assert saving.names("upload") == ["css/grün.css"]
    assert listing.operations()["list"] == 1


@pytest.mark.parametrize("rig", ["s3-moto", "azure-azurite", "gcs-emulator"], indirect=True)
def test_more_than_a_thousand_objects_are_listed_in_pages(rig: Rig) -> None:
    names = [f"{number:04}.txt" for number in range(1100)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: rig.raw_put(name, b""), names))

    assert rig.raw_list() == names


@pytest.mark.parametrize("rig", ["s3-rclone"], indirect=True)
def test_wrong_credentials_are_rejected(rig: Rig) -> None:
    with pytest.raises(Exception, match="SignatureDoesNotMatch|403"):
        rig.plain(secret_key="wrong").save("a.css", ContentFile(b"a{}"))

    assert rig.raw_list() == []


@pytest.mark.parametrize("rig", ["gcs-emulator"], indirect=True)
def test_google_obeys_conditions(rig: Rig) -> None:
    from google.api_core.exceptions import PreconditionFailed

    blob = rig.plain().bucket.blob("a.css")
    blob.upload_from_string(b"one", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        blob.upload_from_string(b"two", if_generation_match=0)

    assert rig.raw_get("a.css") == b"one"


@pytest.mark.parametrize("way", ["run", "call"])
@pytest.mark.parametrize("rig", ["s3-moto", "gcs-emulator", "libcloud-s3-moto"], indirect=True)
def test_a_project_deploys_its_corpus_without_a_mirror(rig: Rig, tmp_path: Path, way: str) -> None:
    project = Project.make(tmp_path, rig, settings={"INSTALLED_APPS": ["django.contrib.staticfiles"]})
    project.settings["STORAGES"]["staticfiles"] = rig.plain_settings("static")
    project.write()

    if way == "run":
        result = project.run("collectstatic", "--no-input")
        assert result.returncode == 0, result
        assert f"{len(FILES)} static files copied" in result.last_line
        assert project.run("collectstatic", "--no-such-option").returncode == 2
    else:
        assert f"{len(FILES)} static files copied" in project.call("collectstatic", interactive=False)

    assert rig.raw_all() == project.corpus.contents() == FILES
    assert len(rig.wire.requests.of("upload")) == len(FILES)


def test_django_hashes_the_corpus_whole(tmp_path: Path) -> None:
    home = tmp_path / "home"
    corpus = Corpus.make(home / "static", more=3)
    backend = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    words = {"STORAGES": {"staticfiles": {"BACKEND": backend}}, "STATIC_ROOT": str(tmp_path / "root")}
    project = Project(home, {**words, "INSTALLED_APPS": ["django.contrib.staticfiles"]})

    assert project.run("collectstatic", "--no-input").returncode == 0
    first = project.storage().hashed_files
    corpus.change("img/logo.png")
    project.call("collectstatic", interactive=False)
    second = project.storage().hashed_files

    assert first.keys() == second.keys() == set(corpus.names())
    changed = {name for name in first if first[name] != second[name]}
    assert changed == {"img/logo.png", "css/base.css", "css/site.css", "css/theme/dark.css"}


@pytest.mark.parametrize("server", [Moto, MotoInProcess, RcloneS3, Azurite, Gcs, GcsInProcess])
def test_a_server_ends_with_its_block(server: type[Server]) -> None:
    with require(server)() as running:
        port = running.port
        assert accepts_connections(port)
    assert not accepts_connections(port)


def test_caches_answer() -> None:
    with require(Redis)() as redis, require(Memcached)() as memcached:
        for cache in (RedisCache(redis.url, {}), PyMemcacheCache(memcached.location, {})):
            cache.set("name", "a.1234.css")
            assert cache.get("name") == "a.1234.css"
            cache.close()


def test_a_server_does_not_outlive_the_process_that_started_it(tmp_path: Path) -> None:
    require(RcloneS3)
    lines = (
        "import os, signal",
        "from tests.servers.rclone_s3 import RcloneS3",
        "print(RcloneS3().start().port, flush=True)",
        "os.kill(os.getpid(), signal.SIGKILL)",
    )
    command = [sys.executable, "-c", "\n".join(lines)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)

    port = int(result.stdout)
    for _ in range(100):
        if not accepts_connections(port):
            return
        time.sleep(0.1)
    raise AssertionError("the server still answers")


def test_a_server_that_does_not_start_says_why() -> None:
    class Broken(ProcessServer):
        name = "broken"

        def command(self) -> list[str]:
            return ["/bin/sh", "-c", "echo no such thing >&2; exit 3"]

    with pytest.raises(RuntimeError, match="no such thing"):
        Broken().start()


class Absent(Server):
    name = "absent"

    @classmethod
    def available(cls) -> str | None:
        return "it was never written"


def test_a_missing_server_is_a_skip_for_a_user_and_a_failure_where_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LOCALMIRROR_REQUIRE_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="never written"):
        require(Absent)
    monkeypatch.setenv("LOCALMIRROR_REQUIRE_SERVERS", "1")
    with pytest.raises(pytest.fail.Exception, match="never written"):
        require(Absent)
