"""A missing file is FileNotFoundError, whatever the provider calls it, and as soon as it is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.base import ContentFile

from ..deploying import mirrored, public
from ..rigs import Rig

NAMES = ["missing.txt", "no/such/directory/missing.txt", "taken.txt/missing.txt", "grün/ä ☃ 100%.txt"]


@pytest.fixture(params=["media", "static", "compressor"])
def storage(rig: Rig, request: pytest.FixtureRequest) -> Any:
    storage = rig.storage(request.param)
    storage.save("taken.txt", ContentFile(b"t"))
    return storage


@pytest.mark.parametrize("call", ["open", "size", "get_modified_time", "get_created_time"])
def test_asking_for_a_missing_file(storage: Any, call: str) -> None:
    # Object stores do not tell when an object was first created, and Django has a word for that too.
    expected = (FileNotFoundError, NotImplementedError) if call == "get_created_time" else FileNotFoundError
    for name in NAMES:
        with pytest.raises(expected):
            getattr(storage, call)(name)


def test_a_missing_file_does_not_exist(storage: Any) -> None:
    for name in NAMES:
        assert not storage.exists(name), name
        assert storage.remote_file(name) is None, name


def test_deleting_a_missing_file_is_no_error(rig: Rig, storage: Any) -> None:
    names = [
        name for name in NAMES if rig.name != "s3-rclone" or not name.startswith("taken.txt/")
    ]  # deletes taken.txt
    for name in names:
        storage.delete(name)
    storage.delete_many(names)

    assert public(rig) == mirrored(rig) == {"taken.txt": b"t"}


def test_nothing_is_left_of_the_attempt_to_fetch(rig: Rig, storage: Any) -> None:
    for name in NAMES:
        with pytest.raises(FileNotFoundError):
            storage.open(name)

    assert mirrored(rig) == {"taken.txt": b"t"}
    assert not list(rig.mirror.glob(".localmirror/tmp/*"))


def test_what_is_gone_from_the_remote_goes_from_the_mirror(rig: Rig) -> None:
    storage = rig.storage(mirror_max_age=0)
    for call in ("open", "size"):
        storage.save("a.txt", ContentFile(b"a"))
        rig.raw_delete("a.txt")
        with pytest.raises(FileNotFoundError):
            getattr(storage, call)("a.txt")
        assert mirrored(rig) == {}


def test_what_has_changed_on_the_remote_is_fetched_again(rig: Rig) -> None:
    storage = rig.storage(mirror_max_age=0)
    storage.save("a.txt", ContentFile(b"first"))
    rig.raw_put("a.txt", b"the second, which is longer")

    with storage.open("a.txt") as file:
        assert file.read() == b"the second, which is longer"
    assert mirrored(rig) == {"a.txt": b"the second, which is longer"}


def test_an_empty_remote_has_no_manifest_yet(rig: Rig) -> None:
    storage = rig.storage("manifest")

    assert storage.hashed_files == {}
    assert list(storage.remote_files()) == []
    with pytest.raises(FileNotFoundError):
        storage.open("staticfiles.json")
