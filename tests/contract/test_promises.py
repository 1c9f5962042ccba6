"""Promises 2, 3, 5, 6 and 9 of docs/how-it-works.rst, as far as no other subject of the contract is about them."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.files.base import ContentFile, File
from django.test import override_settings

from localmirror import offline
from localmirror.exceptions import OfflineError
from localmirror.publish import Publish

from ..deploying import mirrored, public
from ..disks import disk
from ..rigs import Rig
from .halves import assert_no_spools, both, hashed, no_requests, on
from .releases import publish_files, stage_files


class Breaking:
    """Content that cannot be read to its end."""

    def __init__(self) -> None:
        self.pieces = [b"the beginning"]

    def read(self, size: int = -1) -> bytes:
        if not self.pieces:
            raise TimeoutError("the rest does not come")
        return self.pieces.pop()


# 2. The mirror never runs ahead.


@pytest.mark.parametrize("role", ["media", "static"])
def test_what_the_remote_refuses_does_not_reach_the_mirror(rig: Rig, role: str) -> None:
    storage = rig.storage(role)

    with rig.refusing("dir/a.txt"):
        with pytest.raises(Exception, match=".") as caught:
            storage._save("dir/a.txt", ContentFile(b"a"))
        with pytest.raises(type(caught.value)), storage.open("dir/a.txt", "wb") as file:
            file.write(b"a")

    assert mirrored(rig) == {}
    assert_no_spools(rig)
    for secret in rig.secrets:
        assert secret not in storage.describe_error(caught.value)
        assert secret not in storage.describe_remote()
    assert storage.save("dir/a.txt", ContentFile(b"a")) == "dir/a.txt"
    assert both(rig) == {"dir/a.txt": b"a"}


@on(lambda rig: rig.http)
def test_a_refused_change_leaves_the_old_file_in_both_halves(rig: Rig) -> None:
    storage = rig.storage("static")
    storage.save("a.txt", ContentFile(b"old"))

    with rig.refusing("a.txt"), pytest.raises(Exception, match="."):
        storage.save("a.txt", ContentFile(b"new"))

    assert both(rig) == {"a.txt": b"old"}
    with storage.open("a.txt") as file:
        assert file.read() == b"old"


def test_content_that_breaks_changes_neither_half(rig: Rig) -> None:
    storage = rig.storage("static")
    storage.save("a.txt", ContentFile(b"old"))

    for name in ("a.txt", "new.txt"):
        with pytest.raises(TimeoutError, match="the rest"):
            storage.save(name, File(Breaking(), name))

    assert both(rig) == {"a.txt": b"old"}
    assert_no_spools(rig)


# 3. No half files.


def test_a_reader_goes_on_with_the_file_it_has_opened(rig: Rig) -> None:
    storage = rig.storage("static")
    storage.save("a.txt", ContentFile(b"old" * 1000))

    with storage.open("a.txt") as reader:
        storage.save("a.txt", ContentFile(b"new"))
        assert reader.read() == b"old" * 1000
    assert both(rig) == {"a.txt": b"new"}


def test_a_link_is_replaced_and_never_written_through(rig: Rig, tmp_path: Path) -> None:
    storage = rig.storage("static")
    target = tmp_path / "somebody else's.txt"
    target.write_bytes(b"theirs")
    rig.mirror.mkdir(exist_ok=True)
    (rig.mirror / "a.txt").symlink_to(target)

    storage.save("a.txt", ContentFile(b"ours"))

    assert target.read_bytes() == b"theirs"
    assert not (rig.mirror / "a.txt").is_symlink()
    assert both(rig) == {"a.txt": b"ours"}


def test_modes_follow_djangos_settings(rig: Rig) -> None:
    storage = rig.storage()
    rig.raw_put("fetched.txt", b"f")

    with override_settings(FILE_UPLOAD_PERMISSIONS=0o640, FILE_UPLOAD_DIRECTORY_PERMISSIONS=0o750):
        storage.save("dir/saved.txt", ContentFile(b"s"))
        storage.open("fetched.txt").close()

    modes = {name: (rig.mirror / name).stat().st_mode & 0o777 for name in ("dir", "dir/saved.txt", "fetched.txt")}
    assert modes == {"dir": 0o750, "dir/saved.txt": 0o640, "fetched.txt": 0o640}


# 5. No window without a file.


def test_publishing_deletes_nothing(rig: Rig) -> None:
    storage = rig.storage("static")
    publish_files(storage, {"a.txt": b"first", "b.txt": b"b"})
    before = len(rig.wire.requests) if rig.http else 0

    assert publish_files(storage, {"a.txt": b"the second"}) == {"a.txt"}

    assert public(rig) == {"a.txt": b"the second", "b.txt": b"b"}
    if rig.http:
        assert [request for request in rig.wire.requests[before:] if request.method == "DELETE"] == []


# 6. Reading is local.


def test_a_warm_mirror_is_enough(rig: Rig) -> None:
    name = hashed("a.css", b"a{}")
    publish_files(rig.storage("static", mirror_max_age=0), {name: b"a{}"})
    storage = rig.storage("static", mirror_max_age=0)

    with no_requests(rig), storage.open(name) as file:
        assert file.read() == b"a{}"
        assert storage.size(name) == 3


def test_an_immutable_name_is_never_asked_for_again(rig: Rig) -> None:
    storage = rig.storage(mirror_max_age=0)
    name = hashed("a.css", b"a{}")
    rig.raw_put(name, b"a{}")
    storage.open(name).close()
    rig.raw_delete(name)

    with no_requests(rig), storage.open(name) as file:
        assert file.read() == b"a{}"


def test_a_mirror_of_another_remote_is_not_trusted(rig: Rig) -> None:
    storage = rig.storage("static")
    files = {"a.txt": b"a", hashed("a.css", b"a{}"): b"a{}"}
    publish_files(storage, files)
    first, rig.bucket = rig.bucket, f"{rig.bucket}-other"
    rig.make_bucket(rig.bucket)
    try:
        rig.configure()
        with override_settings(**rig.settings):
            other = rig.storage("static")
            assert other.remote_identity() != storage.remote_identity()
            assert publish_files(other, files) == files.keys()
            assert public(rig) == files
    finally:
        rig.remove_bucket(rig.bucket)
        rig.bucket = first


def test_inside_offline_the_mirror_is_all_there_is(rig: Rig) -> None:
    storage = rig.storage("static")
    storage.save("both.txt", ContentFile(b"both"))
    rig.raw_put("remote.txt", b"r")

    with offline(), no_requests(rig):
        with storage.open("both.txt") as file:
            assert file.read() == b"both"
        assert storage.exists("both.txt")
        assert not storage.exists("remote.txt")
        assert storage.listdir("") == ([], ["both.txt"])
        for call in (storage.open, storage.size, storage.get_modified_time):
            with pytest.raises(FileNotFoundError):
                call("remote.txt")
        with pytest.raises(OfflineError):
            storage.save("new.txt", ContentFile(b"n"))
        with pytest.raises(OfflineError):
            storage.delete("both.txt")
    assert public(rig) == {"both.txt": b"both", "remote.txt": b"r"}


def test_a_mirror_that_cannot_be_written_is_read_and_published_from(rig: Rig, tmp_path: Path) -> None:
    rig.mirror = tmp_path / "disk"
    with disk(rig.mirror) as mounted:
        storage = rig.storage("static")
        release = stage_files(storage, {"a.txt": b"a", "dir/b.txt": b"b"})
        rig.raw_put("remote.txt", b"remote")

        with mounted.read_only():
            assert all(result.status == "uploaded" for result in Publish(storage).results(release))
            for name, content in {"a.txt": b"a", "remote.txt": b"remote"}.items():
                with storage.open(name) as file:
                    assert file.read() == content
                assert storage.size(name) == len(content)
            with pytest.raises(FileNotFoundError):
                storage.open("missing.txt")

    assert public(rig) == {"a.txt": b"a", "dir/b.txt": b"b", "remote.txt": b"remote"}


# 9. Errors are loud.


@on(lambda rig: rig.http)
def test_an_outage_serves_what_is_there_and_says_so(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    storage = rig.storage(mirror_max_age=0, **rig.impatience)
    storage.save("a.txt", ContentFile(b"a"))

    with rig.wire.outage(), storage.open("a.txt") as file:
        assert file.read() == b"a"

    assert "'a.txt'" in caplog.text
    for secret in rig.secrets:
        assert secret not in caplog.text
