"""What any storage of Django's must do, mirrored or not: every rig, and the mirror alone while it is staged."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.utils import timezone

from localmirror import offline

from ..rigs import BY_NAME, RIGS, GenericMemoryRig, prepared

FILES = {"a.txt": b"a", "dir/b.txt": b"bb", "dir/sub/ü ☃.bin": bytes(range(256)), "empty.txt": b""}


@contextlib.contextmanager
def mirror_alone(directory: Path) -> Iterator[Any]:
    with prepared(GenericMemoryRig, directory) as rig:
        storage = rig.storage("static")
        with storage.staging(), offline():
            yield storage
        assert rig.raw_list() == []


@contextlib.contextmanager
def mirrored_by(name: str, directory: Path) -> Iterator[Any]:
    with prepared(BY_NAME[name], directory) as rig:
        yield rig.storage("static")


@pytest.fixture(params=[*(rig.name for rig in RIGS), "mirror alone"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    alone = request.param == "mirror alone"
    with mirror_alone(tmp_path) if alone else mirrored_by(request.param, tmp_path) as storage:
        yield storage


def test_a_life_of_files(storage: Any) -> None:
    for name, content in FILES.items():
        assert not storage.exists(name)
        assert storage.save(name, ContentFile(content)) == name
        assert storage.exists(name)
        assert storage.size(name) == len(content)
        with storage.open(name) as file:
            assert file.read() == content
        assert timezone.now() - storage.get_modified_time(name) < timedelta(minutes=2)
        assert unquote(storage.url(name).partition("?")[0]).endswith(f"/{name}")

    assert [sorted(part) for part in storage.listdir("")] == [["dir"], ["a.txt", "empty.txt"]]
    assert [sorted(part) for part in storage.listdir("dir")] == [["sub"], ["b.txt"]]

    storage.save("a.txt", ContentFile(b"another, which is longer"))
    with storage.open("a.txt") as file:
        assert list(file.chunks()) == [b"another, which is longer"]

    for name in FILES:
        storage.delete(name)
        storage.delete(name)
        assert not storage.exists(name)
        with pytest.raises(FileNotFoundError):
            storage.open(name)
        with pytest.raises(FileNotFoundError):
            storage.size(name)
    # What holds no files is a directory on some remotes and nothing at all on others.
    assert storage.listdir("")[1] == []


def test_a_file_that_is_open_for_writing(storage: Any) -> None:
    with storage.open("dir/a.bin", "wb") as file:
        for _ in range(3):
            file.write(b"some bytes ")
    with storage.open("dir/b.txt", "w") as file:
        file.write("tëxt")

    with storage.open("dir/a.bin") as file:
        assert file.read() == b"some bytes " * 3
    with storage.open("dir/b.txt") as file:
        assert file.read() == "tëxt".encode()
    assert storage.size("dir/a.bin") == 33


@pytest.mark.parametrize("name", ["../a.txt", "/a.txt", "dir/../../a.txt", "nul\0", ".localmirror/a.txt"])
def test_names_that_lead_outside(storage: Any, name: str) -> None:
    for call in (storage.open, storage.exists, storage.size, storage.delete, storage.path):
        with pytest.raises(SuspiciousFileOperation):
            call(name)
    with pytest.raises(SuspiciousFileOperation):
        storage.save(name, ContentFile(b"a"))
