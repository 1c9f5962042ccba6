"""Listing: what the remote has, directory by directory or all at once, and never what is localmirror's own."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from ..rigs import Rig

FILES = {
    "a.txt": b"a",
    "b with space.txt": b"bb",
    "dir/c.txt": b"ccc",
    "dir/sub/d.txt": b"dddd",
    "dir/sub/empty.txt": b"",
    "dirt/e.txt": b"e",
    "grün/☃.txt": "ü".encode(),
    ".well-known/f.txt": b"f",
}


@pytest.fixture
def filled(rig: Rig) -> Any:
    """A storage over a remote that somebody else has filled, and localmirror has written to."""
    storage = rig.storage("static")
    for name, content in FILES.items():
        rig.raw_put(name, content)
    rig.raw_put(".localmirror/releases/1/record.json", b"{}")
    storage.save("saved.txt", ContentFile(b"s"))
    return storage


def listed(storage: Any, path: str) -> tuple[list[str], list[str]]:
    directories, files = storage.listdir(path)
    return sorted(directories), sorted(files)


def test_listdir_names_what_is_directly_in_a_directory(filled: Any) -> None:
    assert listed(filled, "") == (
        [".well-known", "dir", "dirt", "grün"],
        ["a.txt", "b with space.txt", "saved.txt"],
    )
    assert listed(filled, "dir") == listed(filled, "dir/") == (["sub"], ["c.txt"])
    assert listed(filled, "dir/sub") == ([], ["d.txt", "empty.txt"])
    assert listed(filled, "grün") == ([], ["☃.txt"])
    assert listed(filled, ".well-known") == ([], ["f.txt"])


def test_a_missing_directory_is_empty_or_missing(filled: Any) -> None:
    try:
        found = listed(filled, "missing")
    except FileNotFoundError:
        return
    assert found == ([], [])


def test_an_empty_remote(rig: Rig) -> None:
    storage = rig.storage("static")

    assert listed(storage, "") == ([], [])
    assert list(storage.remote_files()) == []


def test_everything_at_once(filled: Any) -> None:
    found = {file.name: file for file in filled.remote_files()}

    everything = {**FILES, "saved.txt": b"s", ".localmirror/releases/1/record.json": b"{}"}
    assert {name: file.size for name, file in found.items()} == {n: len(c) for n, c in everything.items()}
    for name, file in found.items():
        assert file.fingerprint, name
        if file.modified is not None:
            assert timezone.is_aware(file.modified)
            assert abs(timezone.now() - file.modified) < timedelta(minutes=2), name
    if filled.listing_tells_content:
        told = {name: file.md5 for name, file in found.items()}
        assert told == {name: hashlib.md5(content).hexdigest() for name, content in everything.items()}


def test_everything_below_a_directory(filled: Any) -> None:
    def below(prefix: str) -> set[str]:
        return {file.name for file in filled.remote_files(prefix)}

    assert below("dir/") == {"dir/c.txt", "dir/sub/d.txt", "dir/sub/empty.txt"}
    assert below("grün/") == {"grün/☃.txt"}
    assert below(".localmirror/") == {".localmirror/releases/1/record.json"}
    assert below("missing/") == set()


def test_the_listing_can_begin_in_the_middle_where_it_is_sorted(filled: Any) -> None:
    names = [file.name for file in filled.remote_files()]
    after = [file.name for file in filled.remote_files(after="dir/sub/d.txt")]

    if filled.listing_is_sorted:
        assert names == sorted(names, key=lambda name: name.encode())
        assert after == names[names.index("dir/sub/d.txt") + 1 :]
    else:
        assert set(after) >= {name for name in names if name > "dir/sub/d.txt"}


def test_a_single_file_is_told_like_in_the_listing(filled: Any) -> None:
    listing = {file.name: file for file in filled.remote_files()}
    for name in ("saved.txt", "dir/sub/empty.txt", "grün/☃.txt", ".well-known/f.txt"):
        alone = filled.remote_file(name)
        assert alone.name == name
        assert alone.size == listing[name].size
        assert alone.fingerprint == listing[name].fingerprint
