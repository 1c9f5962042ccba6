"""Deletion: the remote, then the mirror; the one name that was meant, and nothing while a release is staged."""

from __future__ import annotations

import pytest
from django.core.files.base import ContentFile

from ..deploying import mirrored, public
from ..rigs import Rig
from .halves import both, on

NEIGHBOURS = ["a", "a.txt", "a.txt.gz", "ab.txt", "dir/a.txt", "dir/sub/a.txt", "dir two/a.txt", "grün/ä ☃.txt"]


@pytest.mark.parametrize("name", ["a.txt", "dir/a.txt", "grün/ä ☃.txt"])
def test_only_the_name_that_was_meant_goes(rig: Rig, name: str) -> None:
    storage = rig.storage()
    for neighbour in NEIGHBOURS:
        storage.save(neighbour, ContentFile(neighbour.encode()))

    storage.delete(name)

    assert both(rig).keys() == {*NEIGHBOURS} - {name}
    assert not storage.exists(name)
    with pytest.raises(FileNotFoundError):
        storage.open(name)


def test_what_only_one_half_has_goes_too(rig: Rig) -> None:
    storage = rig.storage()
    rig.raw_put("remote.txt", b"r")
    storage.save("mirrored.txt", ContentFile(b"m"))
    rig.raw_delete("mirrored.txt")

    storage.delete("remote.txt")
    storage.delete("mirrored.txt")

    assert both(rig) == {}


def test_many_are_deleted_at_once_from_the_remote(rig: Rig) -> None:
    storage = rig.storage("static")
    for neighbour in NEIGHBOURS:
        rig.raw_put(neighbour, b"n")

    storage.delete_many(["a.txt", "missing.txt", "dir/a.txt", "grün/ä ☃.txt", "missing/too.txt"])

    assert public(rig).keys() == {"a", "a.txt.gz", "ab.txt", "dir/sub/a.txt", "dir two/a.txt"}


def test_a_name_can_be_saved_again(rig: Rig) -> None:
    storage = rig.storage()
    for content in (b"first", b"second"):
        assert storage.save("dir/a.txt", ContentFile(content)) == "dir/a.txt"
        assert both(rig) == {"dir/a.txt": content}
        storage.delete("dir/a.txt")
        assert both(rig) == {}


@on(lambda rig: rig.http)
def test_a_remote_that_refuses_keeps_the_mirror(rig: Rig) -> None:
    storage = rig.storage()
    storage.save("a.txt", ContentFile(b"a"))
    rig.wire.fail(rig.fault_status, method="DELETE")

    with pytest.raises(Exception, match=".") as caught:
        storage.delete("a.txt")

    assert not isinstance(caught.value, FileNotFoundError)
    assert public(rig) == mirrored(rig) == {"a.txt": b"a"}
