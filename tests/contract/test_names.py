"""Names: stored as they are in both halves, found again by every call, and never outside of either."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile

from ..deploying import mirrored, public
from ..rigs import Rig
from .halves import both, failures_of
from .releases import publish_files

NAMES = [
    "plain.txt",
    "dir/sub/sub/deep.txt",
    "with space/a b  c.txt",
    "grün/ä ☃ 🎉.txt",
    "пример.txt",
    "100%/50%25.txt",
    "a+b&c=d.txt",
    "q?x=1.txt",
    "frag#ment.txt",
    "semi;colon,comma.txt",
    "quotes'\".txt",
    "(paren)[brack]{brace}.txt",
    "~tilde/$dollar!@at.txt",
    "star*pipe|lt<gt>colon:.txt",
    ".well-known/acme-challenge/token",
    "dir/.hidden",
    "dir/..two",
    "UPPER/Mixed.TXT",
    "e\u0301 decomposed.txt",
    "-dash.txt",
    "no-extension",
    "two.dots.in.a.row..txt",
    "long/" + "n" * 200 + ".txt",
]

OUTSIDE = ["../a.txt", "..", "/etc/a.txt", "dir/../../a.txt", "dir\\..\\..\\a.txt", "nul\0.txt"]
RESERVED = [".localmirror/a.txt", ".LocalMirror/a.txt", "./.localmirror/a.txt", "dir/../.localmirror/a.txt"]
NO_FILES = ["", ".", "dir/", "dir\\"]


def content_of(name: str) -> bytes:
    return name.encode()


def test_names_are_stored_as_they_are(rig: Rig) -> None:
    storage = rig.storage()

    def save(name: str) -> None:
        assert storage.save(name, ContentFile(content_of(name))) == name

    def find(name: str) -> None:
        assert storage.exists(name)
        assert storage.size(name) == len(content_of(name))
        assert unquote(storage.url(name).partition("?")[0]).endswith(f"/{name}")
        with storage.open(name) as file:
            assert file.read() == content_of(name)

    def delete(name: str) -> None:
        storage.delete(name)
        assert not storage.exists(name)

    assert failures_of(save, NAMES) == {}
    assert both(rig) == {name: content_of(name) for name in NAMES}
    assert failures_of(find, NAMES) == {}
    # A host that has never seen them.
    shutil.rmtree(rig.mirror)
    storage = rig.storage()
    assert failures_of(find, NAMES) == {}
    assert both(rig) == {name: content_of(name) for name in NAMES}
    assert failures_of(delete, NAMES) == {}
    assert both(rig) == {}


def test_names_are_published_as_they_are(rig: Rig) -> None:
    storage = rig.storage("static")
    files = {name: content_of(name) for name in NAMES}

    publish_files(storage, files)

    assert both(rig) == files
    assert {file.name for file in storage.remote_files() if not file.name.startswith(".localmirror/")} == files.keys()
    assert publish_files(storage, files) == set()


def test_backslashes_are_slashes_in_both_halves(rig: Rig) -> None:
    assert rig.storage().save("dir\\sub\\a.txt", ContentFile(b"a")) == "dir/sub/a.txt"

    assert both(rig) == {"dir/sub/a.txt": b"a"}


def test_a_name_in_a_roundabout_spelling_is_the_same_name(rig: Rig) -> None:
    storage = rig.storage("static")
    storage.save("dir/a.txt", ContentFile(b"a"))

    for spelling in ("dir//a.txt", "./dir/a.txt", "dir/./a.txt", "dir/sub/../a.txt", "dir\\a.txt"):
        assert storage.exists(spelling)
        with storage.open(spelling) as file:
            assert file.read() == b"a"
    assert both(rig) == {"dir/a.txt": b"a"}


@pytest.mark.parametrize("names", [OUTSIDE, RESERVED], ids=["outside", "reserved"])
@pytest.mark.parametrize("role", ["media", "static"])
def test_names_that_are_refused_by_every_call(rig: Rig, role: str, names: list[str]) -> None:
    storage = rig.storage(role)
    rig.raw_put(".localmirror/a.txt", b"localmirror's own")
    around = sorted(rig.directory.iterdir())
    calls: dict[str, Callable[[str], Any]] = {
        "save": lambda name: storage.save(name, ContentFile(b"x")),
        "_save": lambda name: storage._save(name, ContentFile(b"x")),
        "open": storage.open,
        "open for writing": lambda name: storage.open(name, "wb").close(),
        "exists": storage.exists,
        "size": storage.size,
        "path": storage.path,
        "delete": storage.delete,
        "get_modified_time": storage.get_modified_time,
        "listdir": storage.listdir,
    }
    for call, ask in calls.items():
        for name in names:
            with pytest.raises(SuspiciousFileOperation):
                pytest.fail(f"{call}({name!r}) gave {ask(name)!r}")

    assert public(rig) == mirrored(rig) == {}
    assert rig.raw_list() == [".localmirror/a.txt"]
    assert sorted(rig.directory.iterdir()) == around


def test_what_does_not_name_a_file_is_not_saved(rig: Rig) -> None:
    storage = rig.storage()
    for name in NO_FILES:
        with pytest.raises(SuspiciousFileOperation):
            storage._save(name, ContentFile(b"x"))
        with pytest.raises(SuspiciousFileOperation):
            storage.open(name, "wb").close()

    assert both(rig) == {}
