"""Reading: from disk whenever that is right, from the remote when it must be, and never something stale for long."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.base import ContentFile
from django.test import override_settings

import localmirror
from localmirror.exceptions import OfflineError

from .disks import disk
from .rigs import Rig

HOUR = 3600


@pytest.fixture(autouse=True)
def _one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have boto3 report at once that nobody answers."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING, logger="localmirror"):
        yield caplog


def read(storage: Any, name: str) -> bytes:
    with storage.open(name) as file:
        return bytes(file.read())


def hashed(content: bytes, stem: str = "css/a", extension: str = "css") -> str:
    return f"{stem}.{hashlib.md5(content).hexdigest()[:12]}.{extension}"


def another_host(rig: Rig, directory: Path, **options: Any) -> Any:
    """Return a storage for the same bucket with a mirror of its own."""
    return rig.storage(mirror_location=str(directory / "other host"), **options)


# A warm mirror


def test_what_was_saved_is_read_without_a_request(s3: Rig) -> None:
    s3.storage().save("dir/a.txt", ContentFile(b"a"))
    fresh = s3.storage()

    with s3.wire.recording() as seen:
        assert read(fresh, "dir/a.txt") == b"a"
        assert fresh.size("dir/a.txt") == 1
        assert Path(fresh.path("dir/a.txt")).read_bytes() == b"a"
        assert fresh.get_modified_time("dir/a.txt").tzinfo is not None

    assert seen == []


def test_what_the_mirror_lacks_is_fetched_once_in_one_request(s3: Rig) -> None:
    s3.raw_put("dir/a.txt", b"a")
    storage = s3.storage()

    with s3.wire.recording() as seen:
        assert read(storage, "dir/a.txt") == b"a"
        assert read(storage, "dir/a.txt") == b"a"
        assert storage.size("dir/a.txt") == 1
        assert read(s3.storage(), "dir/a.txt") == b"a"

    assert seen.counts() == {"GET": 1}
    assert (s3.mirror / "dir/a.txt").read_bytes() == b"a"


def test_sixteen_threads_fetch_a_file_once(s3: Rig) -> None:
    s3.raw_put("a.txt", b"a" * 100_000)
    storage = s3.storage()

    with s3.wire.recording() as seen, ThreadPoolExecutor(16) as pool:
        contents = list(pool.map(lambda _: read(storage, "a.txt"), range(32)))

    assert set(contents) == {b"a" * 100_000}
    assert seen.counts() == {"GET": 1}


def test_a_path_is_of_the_mirror_and_brings_the_file_along(s3: Rig) -> None:
    s3.raw_put("dir/a.txt", b"a")
    storage = s3.storage()

    assert Path(storage.path("dir/a.txt")).read_bytes() == b"a"
    assert storage.path("missing.txt") == str(s3.mirror / "missing.txt")
    with pytest.raises(NotImplementedError):
        storage.path("")


def test_a_path_of_a_static_file_costs_no_request(s3: Rig) -> None:
    s3.raw_put("a.css", b"a{}")
    storage = s3.storage("static")

    with s3.wire.recording() as seen:
        assert storage.path("a.css") == str(s3.mirror / "a.css")

    assert seen == []


def test_a_missing_file_is_missing_whatever_is_asked(s3: Rig) -> None:
    storage = s3.storage()

    for ask in (storage.open, storage.size, storage.get_modified_time):
        with pytest.raises(FileNotFoundError, match="missing.txt"):
            ask("missing.txt")
    assert not storage.exists("missing.txt")
    assert not storage.exists("")
    assert not (s3.mirror / "missing.txt").exists()


def test_a_directory_is_no_file(s3: Rig) -> None:
    storage = s3.storage()
    storage.save("dir/a.txt", ContentFile(b"a"))

    assert not storage.exists("dir")
    assert not storage.exists("dir/")
    assert storage.listdir("") == (["dir"], [])
    assert storage.listdir("dir") == ([], ["a.txt"])
    with pytest.raises(FileNotFoundError):
        storage.open("dir")


def test_listings_leave_out_what_is_localmirrors_own(s3: Rig) -> None:
    s3.raw_put(".localmirror/releases/1/record.json", b"{}")
    s3.raw_put("dir/.localmirror/a.txt", b"a")
    storage = s3.storage()
    storage.save("a.txt", ContentFile(b"a"))

    assert storage.listdir("") == (["dir"], ["a.txt"])
    assert storage.listdir("dir") == ([".localmirror"], [])
    with localmirror.offline():
        assert storage.listdir("") == ([], ["a.txt"])


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
@pytest.mark.parametrize("aware", [True, False])
def test_the_date_of_a_static_file_is_the_remotes(rig: Rig, aware: bool) -> None:
    storage = rig.storage("static")
    storage.save("a.css", ContentFile(b"a{}"))
    os.utime(rig.mirror / "a.css", (1, 1))

    with override_settings(USE_TZ=aware):
        modified = storage.get_modified_time("a.css")

    assert modified.year > 2000
    assert (modified.tzinfo is not None) == aware


# What is known grows old


def test_a_copy_is_asked_about_when_it_has_grown_old(s3: Rig) -> None:
    storage = s3.storage(mirror_max_age=HOUR)
    storage.save("a.txt", ContentFile(b"a"))

    with s3.wire.recording() as young:
        assert read(storage, "a.txt") == b"a"
    storage.mirror_max_age = 0
    with s3.wire.recording() as old:
        assert read(storage, "a.txt") == b"a"
    storage.mirror_max_age = HOUR
    with s3.wire.recording() as young_again:
        assert read(storage, "a.txt") == b"a"

    assert (young.counts(), old.counts(), young_again.counts()) == ({}, {"HEAD": 1}, {})


def test_what_another_host_overwrites_is_seen(s3: Rig, tmp_path: Path) -> None:
    ours, theirs = s3.storage(mirror_max_age=0), another_host(s3, tmp_path)
    ours.save("a.txt", ContentFile(b"old"))
    theirs.save("a.txt", ContentFile(b"newer"))

    assert ours.size("a.txt") == 5
    assert read(ours, "a.txt") == b"newer"
    theirs.save("a.txt", ContentFile(b"newest"))
    assert Path(ours.path("a.txt")).read_bytes() == b"newest"
    theirs.save("a.txt", ContentFile(b"NEWEST"))
    assert read(ours, "a.txt") == b"NEWEST"


def test_what_another_host_deletes_is_gone(s3: Rig, tmp_path: Path) -> None:
    ours, theirs = s3.storage(mirror_max_age=0), another_host(s3, tmp_path)
    for name in ("a.txt", "b.txt"):
        ours.save(name, ContentFile(b"a"))
        theirs.delete(name)

    with pytest.raises(FileNotFoundError):
        ours.open("a.txt")
    with pytest.raises(FileNotFoundError):
        ours.size("b.txt")
    assert not list(s3.mirror.glob("*.txt"))


def test_for_ever_means_for_ever(s3: Rig) -> None:
    storage = s3.storage(mirror_max_age=None)
    storage.save("a.txt", ContentFile(b"old"))
    s3.raw_put("a.txt", b"new")

    with s3.wire.recording() as seen:
        assert read(s3.storage(mirror_max_age=None), "a.txt") == b"old"

    assert seen == []


def test_an_immutable_name_is_never_asked_about(s3: Rig) -> None:
    name = hashed(b"a{}")
    s3.raw_put(name, b"a{}")
    storage = s3.storage(mirror_max_age=0)

    with s3.wire.recording() as seen:
        for _ in range(3):
            assert read(storage, name) == b"a{}"

    assert seen.counts() == {"GET": 1}


def test_a_name_that_lies_about_its_content_is_mutable(s3: Rig) -> None:
    name = hashed(b"something else")
    storage = s3.storage(mirror_max_age=0)
    storage.save(name, ContentFile(b"a{}"))
    s3.raw_put(name, b"b{}")

    assert read(storage, name) == b"b{}"


def test_an_immutable_name_is_uploaded_once(s3: Rig) -> None:
    storage = s3.storage()

    with s3.wire.recording() as seen:
        for _ in range(3):
            storage.save(hashed(b"a{}"), ContentFile(b"a{}"))

    assert seen.counts() == {"PUT": 1}


def test_that_the_name_proves_the_content_does_not_prove_that_the_remote_has_it(s3: Rig) -> None:
    name = hashed(b"a{}", "CACHE/css/a")
    (s3.mirror / "CACHE" / "css").mkdir(parents=True)
    (s3.mirror / name).write_bytes(b"a{}")
    storage = s3.storage("compressor")
    assert read(storage, name) == b"a{}"

    assert not storage.exists(name)
    storage.save(name, ContentFile(b"a{}"))

    assert s3.raw_all() == {name: b"a{}"}


def test_a_mirror_hit_is_enough_for_compressors_output(s3: Rig) -> None:
    name = hashed(b"a{}", "CACHE/css/a")
    s3.storage("compressor").save(name, ContentFile(b"a{}"))
    storage = s3.storage("compressor", mirror_max_age=0)

    with s3.wire.recording() as seen:
        assert storage.exists(name)

    assert seen == []


def test_what_lies_in_the_mirror_already_is_compared_before_it_is_fetched(s3: Rig) -> None:
    for name in ("same.txt", "other.txt"):
        s3.raw_put(name, b"remote")
    s3.mirror.mkdir()
    (s3.mirror / "same.txt").write_bytes(b"remote")
    (s3.mirror / "other.txt").write_bytes(b"mirror")
    storage = s3.storage()

    with s3.wire.recording() as seen:
        assert read(storage, "same.txt") == read(storage, "other.txt") == b"remote"

    assert seen.names("HEAD") == ["same.txt", "other.txt"]
    assert seen.names("GET") == ["other.txt"]


def test_what_could_not_be_fetched_is_not_trusted_either(s3: Rig) -> None:
    s3.raw_put("a.txt", b"remote")
    s3.mirror.mkdir()
    (s3.mirror / "a.txt").write_bytes(b"mirror")
    storage = s3.storage(mirror_max_age=None)
    s3.wire.fail(403, code="AccessDenied", method="GET", times=1)

    with pytest.raises(ClientError):
        storage.open("a.txt")

    assert read(storage, "a.txt") == b"remote"


def test_what_was_changed_behind_our_back_is_not_trusted(s3: Rig) -> None:
    storage = s3.storage(mirror_max_age=HOUR)
    storage.save("a.txt", ContentFile(b"right"))
    (s3.mirror / "a.txt").write_bytes(b"wrong")
    os.utime(s3.mirror / "a.txt", (5, 5))

    assert read(storage, "a.txt") == b"right"
    assert (s3.mirror / "a.txt").read_bytes() == b"right"


def test_an_unreadable_note_is_no_note(s3: Rig, warnings: pytest.LogCaptureFixture) -> None:
    s3.storage().save("a.txt", ContentFile(b"a"))
    for note in s3.mirror.glob(".localmirror/index/*/*.json"):
        note.write_text("{")

    with s3.wire.recording() as seen:
        assert read(s3.storage(), "a.txt") == b"a"

    assert seen.counts() == {"HEAD": 1}
    assert "unreadable" in warnings.text


def test_notes_hold_nothing_secret(s3: Rig) -> None:
    s3.storage().save("a.txt", ContentFile(b"a"))

    written = b"".join(path.read_bytes() for path in s3.mirror.rglob("*") if path.is_file())

    for secret in s3.server.credentials.values():
        assert secret.encode() not in written
    notes = [json.loads(path.read_bytes()) for path in s3.mirror.glob(".localmirror/index/*/*.json")]
    assert [note["name"] for note in notes] == ["a.txt"]


# The remote cannot be reached, or refuses


def test_while_the_remote_is_down_the_mirror_is_served_with_a_warning(
    s3: Rig, warnings: pytest.LogCaptureFixture
) -> None:
    storage = s3.storage(mirror_max_age=0)
    storage.save("a.txt", ContentFile(b"a"))

    with s3.wire.outage():
        assert read(storage, "a.txt") == b"a"
        assert storage.size("a.txt") == 1
        assert Path(storage.path("a.txt")).read_bytes() == b"a"
        with pytest.raises(BotoCoreError):
            storage.open("not-in-the-mirror.txt")

    assert "Serving 'a.txt' from the mirror" in warnings.text


def test_a_server_that_is_not_well_counts_as_down(s3: Rig, warnings: pytest.LogCaptureFixture) -> None:
    storage = s3.storage(mirror_max_age=0)
    storage.save("a.txt", ContentFile(b"a"))
    s3.wire.fail(503)

    assert read(storage, "a.txt") == b"a"
    assert "Serving 'a.txt' from the mirror" in warnings.text


def test_refused_is_not_missing(s3: Rig) -> None:
    storage = s3.storage(mirror_max_age=0)
    storage.save("a.txt", ContentFile(b"a"))
    s3.wire.fail(403, code="AccessDenied")

    for ask in (storage.open, storage.size, storage.exists, storage.path):
        with pytest.raises(ClientError):
            ask("a.txt")
    for ask in (storage.open, storage.size, storage.exists, storage.get_modified_time):
        with pytest.raises(ClientError):
            ask("b.txt")

    assert (s3.mirror / "a.txt").read_bytes() == b"a"


def test_a_connection_cut_in_mid_body_leaves_no_half_file(s3: Rig) -> None:
    s3.raw_put("a.bin", b"a" * 300_000)
    storage = s3.storage()
    rule = s3.wire.cut(method="GET")

    with pytest.raises(BotoCoreError):
        storage.open("a.bin")

    assert rule.hits
    assert not (s3.mirror / "a.bin").exists()
    assert not list(s3.mirror.glob(".localmirror/tmp/*"))
    s3.wire.rules = []
    assert read(storage, "a.bin") == b"a" * 300_000


# Another bucket


def test_pointed_at_another_bucket_the_mirror_trusts_nothing_but_its_bytes(s3: Rig) -> None:
    first = s3.storage(mirror_max_age=None)
    for name in ("same.txt", "other.txt", "missing.txt"):
        first.save(name, ContentFile(b"here"))
    bucket = f"{s3.bucket}-b"
    s3.make_bucket(bucket)
    try:
        second = s3.storage(mirror_max_age=None, bucket_name=bucket)
        second.connection.meta.client.put_object(Bucket=bucket, Key="same.txt", Body=b"here")
        second.connection.meta.client.put_object(Bucket=bucket, Key="other.txt", Body=b"there")

        with s3.wire.recording() as seen:
            assert read(second, "same.txt") == b"here"
            assert read(second, "other.txt") == b"there"
            with pytest.raises(FileNotFoundError):
                second.open("missing.txt")
    finally:
        s3.remove_bucket(bucket)

    assert seen.names("GET") == ["other.txt"]
    assert seen.names("HEAD") == ["same.txt", "other.txt", "missing.txt"]


def test_pointed_at_another_bucket_compressors_output_goes_there_too(s3: Rig) -> None:
    name = hashed(b"a{}", "CACHE/css/a")
    s3.storage("compressor").save(name, ContentFile(b"a{}"))
    bucket = f"{s3.bucket}-b"
    s3.make_bucket(bucket)
    try:
        second = s3.storage("compressor", bucket_name=bucket)
        assert not second.exists(name)
        second.save(name, ContentFile(b"a{}"))
        assert second.exists(name)
        assert s3.client.get_object(Bucket=bucket, Key=name)["Body"].read() == b"a{}"
    finally:
        s3.remove_bucket(bucket)


# Offline


def test_offline_sees_the_mirror_and_nothing_else(s3: Rig) -> None:
    storage = s3.storage(mirror_max_age=0)
    storage.save("dir/a.txt", ContentFile(b"a"))
    s3.raw_put("remote.txt", b"remote")

    with s3.wire.recording() as seen, localmirror.offline():
        assert read(storage, "dir/a.txt") == b"a"
        assert storage.size("dir/a.txt") == 1
        assert storage.exists("dir/a.txt")
        assert storage.get_modified_time("dir/a.txt").year > 2000
        assert storage.get_created_time("dir/a.txt").year > 2000
        assert storage.listdir("") == (["dir"], [])
        assert not storage.exists("remote.txt")
        for ask in (storage.open, storage.size, storage.get_modified_time):
            with pytest.raises(FileNotFoundError):
                ask("remote.txt")
        for change in (
            lambda: storage.save("b.txt", ContentFile(b"b")),
            lambda: storage.delete("dir/a.txt"),
            lambda: storage.open("b.txt", "wb"),
        ):
            with pytest.raises(OfflineError):
                change()

    assert seen == []
    assert storage.exists("remote.txt")


def test_offline_holds_for_all_threads_and_nests(s3: Rig) -> None:
    s3.raw_put("remote.txt", b"remote")
    storage = s3.storage()

    with ThreadPoolExecutor(1) as pool, localmirror.offline():
        with localmirror.offline():
            assert not pool.submit(storage.exists, "remote.txt").result()
        assert not pool.submit(storage.exists, "remote.txt").result()

    assert storage.exists("remote.txt")


def test_building_a_storage_offline_asks_nothing(s3: Rig) -> None:
    s3.raw_put("staticfiles.json", b'{"version": "1.1", "paths": {"a.css": "a.1.css"}, "hash": ""}')

    with s3.wire.recording() as seen, localmirror.offline():
        assert s3.storage("manifest").hashed_files == {}

    assert seen == []


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
@pytest.mark.parametrize("fault", ["fail", "cut"])
def test_an_old_copy_is_served_if_the_new_one_cannot_be_had(
    rig: Rig, warnings: pytest.LogCaptureFixture, fault: str
) -> None:
    storage = rig.storage(mirror_max_age=0)
    storage.save("a.txt", ContentFile(b"old"))
    rig.raw_put("a.txt", b"new" * 1000)
    if fault == "fail":
        rule = rig.wire.fail(503, method="GET", name="a.txt")
    else:
        rule = rig.wire.cut(method="GET", name="a.txt")

    assert read(storage, "a.txt") == b"old"
    assert "Serving 'a.txt' from the mirror" in warnings.text

    rule.times = 0
    assert read(storage, "a.txt") == b"new" * 1000


# A mirror that cannot be written to


def test_a_read_only_mirror_can_be_read(s3: Rig, tmp_path: Path, warnings: pytest.LogCaptureFixture) -> None:
    s3.raw_put("remote.txt", b"remote")
    with disk(tmp_path / "disk") as mount:
        s3.mirror = mount.root / "mirror"
        s3.storage().save("a.txt", ContentFile(b"a"))
        s3.storage().save("b.txt", ContentFile(b"old"))
        s3.raw_put("b.txt", b"new")

        with mount.read_only():
            storage = s3.storage()
            with s3.wire.recording() as warm:
                assert read(storage, "a.txt") == b"a"
            assert warm == []
            assert read(storage, "remote.txt") == b"remote"
            with pytest.raises(FileNotFoundError):
                storage.open("missing.txt")

            storage.mirror_max_age = 0
            assert read(storage, "a.txt") == b"a"
            assert read(storage, "b.txt") == b"new"
            assert storage.size("b.txt") == 3
            with s3.wire.outage():
                assert read(storage, "a.txt") == b"a"
            assert "Serving 'a.txt' from the mirror" in warnings.text

            with pytest.raises(OSError, match="Read-only"):
                storage.save("c.txt", ContentFile(b"c"))
            assert "c.txt" not in s3.raw_list()


def test_a_read_only_mirror_is_done_without_if_so_configured(s3: Rig, tmp_path: Path) -> None:
    with disk(tmp_path / "disk") as mount:
        s3.mirror = mount.root / "mirror"
        storage = s3.storage(mirror_on_error="log", mirror_max_age=0)
        storage.save("a.txt", ContentFile(b"old"))

        with mount.read_only():
            storage.save("a.txt", ContentFile(b"new"))
            assert s3.raw_get("a.txt") == b"new"
            assert read(storage, "a.txt") == b"new"
            storage.delete("a.txt")
            assert s3.raw_list() == []


@pytest.mark.parametrize("option", ["raise", "log"])
@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_a_full_disk(rig: Rig, tmp_path: Path, option: str) -> None:
    content = os.urandom(700_000)
    with disk(tmp_path / "disk") as mount:
        rig.mirror = mount.root / "mirror"
        storage = rig.storage(mirror_on_error=option)
        storage.save("a.bin", ContentFile(b"old"))

        with mount.full(leaving=400_000):
            if option == "raise":
                with pytest.raises(OSError, match="No space left"):
                    storage.save("a.bin", ContentFile(content))
                assert rig.raw_get("a.bin") == (rig.mirror / "a.bin").read_bytes() == b"old"
            else:
                storage.save("a.bin", ContentFile(content))
                assert rig.raw_get("a.bin") == content
                assert not (rig.mirror / "a.bin").exists()
            assert not list(rig.mirror.glob(".localmirror/tmp/*"))

        assert read(storage, "a.bin") == rig.raw_get("a.bin")


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_paths_on_a_read_only_mirror(rig: Rig, tmp_path: Path) -> None:
    with disk(tmp_path / "disk") as mount:
        rig.mirror = mount.root / "mirror"
        storage = rig.storage(mirror_max_age=0)
        storage.save("changed.txt", ContentFile(b"old"))
        rig.raw_put("changed.txt", b"new")
        rig.raw_put("remote.txt", b"remote")

        with mount.read_only():
            for name in ("changed.txt", "remote.txt", "missing.txt"):
                assert storage.path(name) == str(rig.mirror / name)


def test_books_that_cannot_be_read_are_none(s3: Rig, tmp_path: Path, warnings: pytest.LogCaptureFixture) -> None:
    storage = s3.storage()
    storage.save("a.txt", ContentFile(b"a"))
    for data in (b"{", b"[[1]]", b"[5]", b"{}x", b"[[]]"):
        (s3.mirror / ".localmirror/published.json").write_bytes(data)
        assert read(s3.storage(), "a.txt") == b"a"
        assert "published.json" in warnings.text
        warnings.clear()


# Forks


def in_a_child(check: Any) -> None:
    """Run *check* in a forked process, which must end well within half a minute."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            threading.Timer(30, os._exit, (2,)).start()
            check()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_storage_used_before_a_fork_works_in_parent_and_child(s3: Rig) -> None:
    storage = s3.storage(mirror_max_age=0)
    storage.save("a.txt", ContentFile(b"a"))
    client_of_the_parent = storage._client

    def child() -> None:
        assert storage._client is not client_of_the_parent
        assert read(storage, "a.txt") == b"a"
        storage.save("child.txt", ContentFile(b"child"))
        assert s3.storage().exists("child.txt")

    in_a_child(child)

    storage.save("parent.txt", ContentFile(b"parent"))
    assert read(storage, "child.txt") == b"child"
    assert s3.raw_list() == ["a.txt", "child.txt", "parent.txt"]


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
@pytest.mark.parametrize("lock", ["localmirror.offline._lock", "localmirror.backends._s3_connection._making.lock"])
def test_a_fork_while_another_thread_holds_a_lock_of_ours(rig: Rig, lock: str) -> None:
    storage = rig.storage()
    path, _, name = lock.rpartition(".")

    def child() -> None:
        with localmirror.offline():
            assert not storage.exists("a.txt")
        storage.save("a.txt", ContentFile(b"a"))

    with resolve_name(path.replace("._making", ":_making")).__dict__[name]:
        in_a_child(child)

    assert rig.raw_get("a.txt") == b"a"


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_a_lock_that_is_held_during_a_fork_does_not_stay_with_the_child(rig: Rig) -> None:
    storage = rig.storage()
    held, forked, freed = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        with storage.mirror.lock("a.txt"):
            held.set()
            forked.wait(30)
        freed.set()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)  # alive until the parent has finished
        os._exit(0)
    forked.set()
    freed.wait(30)

    saved = threading.Thread(target=storage.save, args=("a.txt", ContentFile(b"a")), daemon=True)
    saved.start()
    saved.join(20)
    in_time = not saved.is_alive()

    os.close(writing)
    os.close(reading)
    os.waitpid(child, 0)
    thread.join()
    assert in_time
    assert rig.raw_all() == {"a.txt": b"a"}
