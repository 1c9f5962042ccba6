"""The call table of docs/how-it-works.rst: what each call of Django's storage API asks, reads and changes."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from ..deploying import mirrored, public
from ..rigs import Rig
from .halves import both, hashed, no_requests, on

ROLES = ["media", "static", "compressor"]
LONG_AGO = 1_000_000_000


@pytest.fixture(params=ROLES)
def role(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# Normally


def test_save_writes_both_halves(rig: Rig, role: str) -> None:
    assert rig.storage(role).save("dir/a.txt", ContentFile(b"a")) == "dir/a.txt"

    assert both(rig) == {"dir/a.txt": b"a"}


def test_the_remote_decides_what_becomes_of_a_name_that_is_taken(rig: Rig) -> None:
    storage = rig.storage()
    storage.save("a.txt", ContentFile(b"first"))

    name = storage.save("a.txt", ContentFile(b"second"))

    expected = {"a.txt": b"second"} if name == "a.txt" else {"a.txt": b"first", name: b"second"}
    assert both(rig) == expected


@pytest.mark.parametrize("role", ["static", "compressor"])
def test_static_files_are_saved_over(rig: Rig, role: str) -> None:
    storage = rig.storage(role)
    for content in (b"first", b"second, which is longer", b"3rd"):
        assert storage.save("dir/a.txt", ContentFile(content)) == "dir/a.txt"
        assert both(rig) == {"dir/a.txt": content}

    assert storage.get_available_name("dir/a.txt") == "dir/a.txt"


def test_max_length_holds_for_both_halves(rig: Rig) -> None:
    name = rig.storage().save("dir/" + "n" * 60 + ".txt", ContentFile(b"a"), max_length=30)

    assert len(name) <= 30
    assert both(rig) == {name: b"a"}


def test_open_reads_the_mirror(rig: Rig, role: str) -> None:
    storage = rig.storage(role)
    storage.save("a.txt", ContentFile(b"a"))
    rig.raw_put("a.txt", b"a newer one, not to be noticed for a minute")

    with no_requests(rig), storage.open("a.txt") as file:
        assert file.read() == b"a"


def test_open_fetches_what_the_mirror_lacks_once(rig: Rig, role: str) -> None:
    storage = rig.storage(role)
    rig.raw_put("dir/a.txt", b"a")

    with storage.open("dir/a.txt") as file:
        assert file.read() == b"a"
    assert mirrored(rig) == {"dir/a.txt": b"a"}
    rig.raw_delete("dir/a.txt")
    with no_requests(rig), storage.open("dir/a.txt") as file:
        assert file.read() == b"a"


def test_open_for_writing_changes_both_halves_when_it_is_closed(rig: Rig, role: str) -> None:
    storage = rig.storage(role)

    with storage.open("dir/a.txt", "wb") as file:
        file.write(b"first ")
        file.write(b"and more")
        assert both(rig) == {}
    assert both(rig) == {"dir/a.txt": b"first and more"}


@pytest.mark.parametrize("role", ["media", "static"])
def test_exists_asks_the_remote(rig: Rig, role: str) -> None:
    storage = rig.storage(role)
    storage.save("here.txt", ContentFile(b"h"))
    storage.save("gone.txt", ContentFile(b"g"))
    rig.raw_delete("gone.txt")
    rig.raw_put("new.txt", b"n")

    assert storage.exists("here.txt")
    assert storage.exists("new.txt")
    assert not storage.exists("gone.txt")
    assert not storage.exists("")


def test_a_mirrored_file_is_proof_enough_for_compressor(rig: Rig) -> None:
    storage = rig.storage("compressor")
    storage.save("css/output.0123456789ab.css", ContentFile(b"a"))
    rig.raw_put("css/output.ba9876543210.css", b"b")
    rig.raw_delete("css/output.0123456789ab.css")

    with no_requests(rig):
        assert storage.exists("css/output.0123456789ab.css")
    assert storage.exists("css/output.ba9876543210.css")
    assert not storage.exists("css/output.000000000000.css")


def test_delete_deletes_both_halves(rig: Rig, role: str) -> None:
    storage = rig.storage(role)
    storage.save("dir/a.txt", ContentFile(b"a"))
    storage.save("dir/b.txt", ContentFile(b"b"))

    storage.delete("dir/a.txt")

    assert both(rig) == {"dir/b.txt": b"b"}
    assert not storage.exists("dir/a.txt")


def test_size_is_the_mirrors_and_else_the_remotes(rig: Rig, role: str) -> None:
    storage = rig.storage(role)
    storage.save("mirrored.txt", ContentFile(b"12345"))
    rig.raw_put("remote.txt", b"1234567")

    with no_requests(rig):
        assert storage.size("mirrored.txt") == 5
    assert storage.size("remote.txt") == 7
    assert mirrored(rig).keys() == {"mirrored.txt"}


def test_dates_are_aware_and_now(rig: Rig, role: str) -> None:
    storage = rig.storage(role)
    storage.save("mirrored.txt", ContentFile(b"m"))
    rig.raw_put("remote.txt", b"r")

    for name in ("mirrored.txt", "remote.txt"):
        modified = storage.get_modified_time(name)
        assert timezone.is_aware(modified)
        assert abs(timezone.now() - modified) < timedelta(minutes=2), name


def test_the_date_of_a_static_file_is_the_remotes(rig: Rig) -> None:
    storage = rig.storage("static")
    storage.save("a.txt", ContentFile(b"a"))
    os.utime(rig.mirror / "a.txt", (LONG_AGO, LONG_AGO))

    assert timezone.now() - storage.get_modified_time("a.txt") < timedelta(minutes=2)


def test_the_date_of_a_media_file_is_the_mirrors(rig: Rig) -> None:
    storage = rig.storage()
    storage.save("a.txt", ContentFile(b"a"))

    with no_requests(rig):
        modified = storage.get_modified_time("a.txt").timestamp()
    assert modified == pytest.approx((rig.mirror / "a.txt").stat().st_mtime, abs=0.001)


def test_path_is_of_the_mirror(rig: Rig, role: str) -> None:
    storage = rig.storage(role)
    rig.raw_put("dir/a.txt", b"a")

    assert storage.path("dir/a.txt") == str(rig.mirror / "dir" / "a.txt")
    assert storage.path("dir/missing.txt") == str(rig.mirror / "dir" / "missing.txt")
    # Media and compressor hand out paths to read from, static files paths to write to.
    assert mirrored(rig) == ({} if role == "static" else {"dir/a.txt": b"a"})
    with pytest.raises(NotImplementedError):
        storage.path("")


def test_url_asks_nobody(rig: Rig, role: str) -> None:
    storage = rig.storage(role)
    storage.url("before.txt")

    with no_requests(rig):
        address = storage.url("dir/ä b.txt")

    assert unquote(address.partition("?")[0]).endswith("/dir/ä b.txt")
    if role != "media":
        assert "?" not in address
        assert rig.storage(role).url("dir/ä b.txt") == address


def test_saving_the_same_bytes_again_under_an_immutable_name_costs_nothing(rig: Rig, role: str) -> None:
    storage = rig.storage(role)
    name = hashed("css/a.css", b"a{}")
    storage._save(name, ContentFile(b"a{}"))
    rig.raw_delete(name)  # which shows that it is not sent again

    with no_requests(rig):
        assert storage._save(name, ContentFile(b"a{}")) == name
    assert public(rig) == {}


def test_a_storage_survives_pickling(rig: Rig, role: str) -> None:
    storage = rig.storage(role)
    storage.save("a.txt", ContentFile(b"a"))

    copy = pickle.loads(pickle.dumps(storage))

    copy.save("b.txt", ContentFile(b"b"))
    assert both(rig) == {"a.txt": b"a", "b.txt": b"b"}
    with copy.open("a.txt") as file:
        assert file.read() == b"a"


def test_a_storage_can_be_written_down_in_a_migration(rig: Rig) -> None:
    path, arguments, options = rig.storage().deconstruct()

    assert path == rig.backend()
    assert not arguments
    assert options == rig.settings_for()["OPTIONS"]


@on(lambda rig: rig.module != "generic")
def test_a_location_is_where_all_of_it_lies(rig: Rig) -> None:
    storage = rig.storage("static", location="st/ä tic")
    around = {"a.txt": b"foreign", "st/a.txt": b"foreign", "st/ä tic2/a.txt": b"foreign"}
    for name, content in around.items():
        rig.raw_put(name, content)
    rig.raw_put("st/ä tic/dir/remote.txt", b"r")

    assert storage.save("a.txt", ContentFile(b"a")) == "a.txt"

    assert rig.raw_all() == {**around, "st/ä tic/dir/remote.txt": b"r", "st/ä tic/a.txt": b"a"}
    assert mirrored(rig) == {"a.txt": b"a"}
    assert storage.listdir("") == (["dir"], ["a.txt"])
    assert storage.listdir("dir") == ([], ["remote.txt"])
    assert {file.name for file in storage.remote_files()} == {"a.txt", "dir/remote.txt"}
    assert [file.name for file in storage.remote_files("dir/")] == ["dir/remote.txt"]
    if rig.http:  # else the address is one that the project has configured for the whole of it
        assert unquote(storage.url("a.txt")).endswith("/st/ä tic/a.txt")
    assert not storage.exists("st/a.txt")
    with storage.open("dir/remote.txt") as file:
        assert file.read() == b"r"
    storage.delete("a.txt")
    storage.delete_many(["dir/remote.txt"])
    assert rig.raw_all() == around


# While staging


@pytest.fixture
def staged(rig: Rig) -> Iterator[Any]:
    """A static storage that is staging, over a remote that has files of an earlier release."""
    storage = rig.storage("static")
    storage.save("both.txt", ContentFile(b"both"))
    rig.raw_put("remote.txt", b"remote")
    before = rig.raw_all()
    with storage.staging() as staging, no_requests(rig):
        yield storage
        staging.commit(staging.release())
    assert rig.raw_all() == before


def test_staging_saves_to_the_mirror(rig: Rig, staged: Any) -> None:
    assert staged.save("both.txt", ContentFile(b"newer")) == "both.txt"
    assert staged.save("dir/new.txt", ContentFile(b"new")) == "dir/new.txt"
    with staged.open("written.txt", "wb") as file:
        file.write(b"written")

    assert mirrored(rig) == {"both.txt": b"newer", "dir/new.txt": b"new", "written.txt": b"written"}


def test_staging_reads_the_mirror(rig: Rig, staged: Any) -> None:
    with staged.open("both.txt") as file:
        assert file.read() == b"both"
    assert staged.exists("both.txt")
    assert staged.size("both.txt") == 4
    assert timezone.now() - staged.get_modified_time("both.txt") < timedelta(minutes=2)
    assert timezone.now() - staged.get_created_time("both.txt") < timedelta(minutes=2)
    assert staged.listdir("") == ([], ["both.txt"])
    assert staged.get_available_name("both.txt") == "both.txt"


def test_staging_sees_nothing_of_the_remote(rig: Rig, staged: Any) -> None:
    assert not staged.exists("remote.txt")
    for read in (staged.open, staged.size, staged.get_modified_time, staged.get_created_time):
        with pytest.raises(FileNotFoundError):
            read("remote.txt")
    assert staged.path("remote.txt") == str(rig.mirror / "remote.txt")
    assert unquote(staged.url("remote.txt")).endswith("/remote.txt")
    assert mirrored(rig) == {"both.txt": b"both"}


def test_staging_puts_deletes_off_to_its_end(rig: Rig) -> None:
    storage = rig.storage("static")
    with storage.staging() as staging:
        for name in ("kept.txt", "again.txt", "gone.txt"):
            storage.save(name, ContentFile(b"old"))
            staging.found(name)
        staging.commit(staging.release())

    with storage.staging() as staging:
        for name in ("again.txt", "gone.txt", "missing.txt"):
            storage.delete(name)
            assert not storage.exists(name)
        assert mirrored(rig).keys() == {"kept.txt", "again.txt", "gone.txt"}
        storage.save("again.txt", ContentFile(b"new"))
        staging.found("kept.txt")
        staging.found("again.txt")
        staging.commit(staging.release())

    assert mirrored(rig) == {"kept.txt": b"old", "again.txt": b"new"}
    assert rig.raw_list() == []
