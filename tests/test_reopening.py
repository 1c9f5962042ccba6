"""Files that are opened again, and contents that are closed or know little of themselves: never a stranger's file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.base import ContentFile, File
from django.db import models

from .rigs import Rig
from .test_mirror_read import read

pytestmark = pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)


@pytest.fixture(autouse=True)
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file in the working directory that has the name of a file of the storage."""
    directory = tmp_path / "working directory"
    directory.mkdir()
    monkeypatch.chdir(directory)
    stranger = directory / "a.txt"
    stranger.write_bytes(b"stranger")
    yield stranger
    assert stranger.read_bytes() == b"stranger"


def test_a_file_is_opened_again(rig: Rig) -> None:
    storage = rig.storage()
    storage.save("a.txt", ContentFile(b"first"))

    with storage.open("a.txt") as file:
        assert file.read() == b"first"
        assert file.open().read() == b"first"
    storage.save("a.txt", ContentFile(b"second"))
    with file.open() as again:
        assert again.read() == b"second"
        assert again.size == 6


@pytest.mark.parametrize("first", ["rb", "wb"])
def test_a_file_is_opened_again_to_write_and_to_read(rig: Rig, first: str) -> None:
    storage = rig.storage()
    storage.save("a.txt", ContentFile(b"old"))
    file = storage.open("a.txt", first)
    file.close()

    with file.open("wb"):
        file.write(b"new")
    assert rig.raw_get("a.txt") == (rig.mirror / "a.txt").read_bytes() == b"new"
    assert file.closed

    with file.open("rb"):
        assert file.read() == b"new"
    assert file.closed


def test_what_was_written_tells_its_size_once_closed(rig: Rig) -> None:
    with rig.storage().open("a.txt", "wb") as file:
        file.write(b"12345")
        assert file.size == 5
        assert file.open() is file
        assert file.tell() == 0
    assert file.size == 5


def test_a_field_is_opened_again(rig: Rig) -> None:
    storage = rig.storage()

    class Document(models.Model):
        file = models.FileField(storage=storage)

        class Meta:
            app_label = "reopening"

    document = Document(file=storage.save("a.txt", ContentFile(b"a")))
    for _ in range(2):
        with document.file.open() as file:
            assert file.read() == b"a"


def test_a_file_while_staging(rig: Rig) -> None:
    storage = rig.storage("static")
    with storage.staging():
        storage.save("a.txt", ContentFile(b"staged"))
        file = storage.open("a.txt")
        file.close()
        assert file.open().read() == b"staged"


def test_a_closed_file_of_the_storage_is_saved_again(rig: Rig) -> None:
    storage = rig.storage()
    storage.save("a.txt", ContentFile(b"a"))
    file = storage.open("a.txt")
    file.close()

    storage.save("copy.txt", file)

    assert rig.raw_get("copy.txt") == (rig.mirror / "copy.txt").read_bytes() == b"a"


def test_a_closed_python_file_is_opened_by_its_own_name(rig: Rig, tmp_path: Path) -> None:
    content = tmp_path / "content.txt"
    content.write_bytes(b"content")
    with content.open("rb") as file:
        file.read(3)

    rig.storage().save("a.txt", file)

    assert rig.raw_get("a.txt") == b"content"


def test_a_closed_file_that_is_gone_is_an_error(rig: Rig, tmp_path: Path) -> None:
    content = tmp_path / "content.txt"
    content.write_bytes(b"content")
    with content.open("rb") as file:
        content.unlink()

    with pytest.raises(ValueError, match=r"'a\.txt' is closed"):
        rig.storage().save("a.txt", file)

    assert rig.raw_list() == []


class Bare:
    """What can be read and moved in, and tells nothing else."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def read(self, size: int = -1) -> bytes:
        end = None if size < 0 else self.position + size
        piece = self.data[self.position : end]
        self.position += len(piece)
        return piece

    def seek(self, position: int, whence: int = 0) -> int:
        self.position = position
        return position


def test_what_can_seek_is_saved_from_its_beginning_though_it_does_not_say_so(rig: Rig) -> None:
    bare = Bare(b"0123456789")
    bare.read(5)

    storage = rig.storage()
    storage.save("a.txt", File(bare, "b.txt"))  # type: ignore[arg-type]

    assert rig.raw_get("a.txt") == read(storage, "a.txt") == b"0123456789"
