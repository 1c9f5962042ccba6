"""Content of every kind that a caller may hand to ``save``."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile, File
from django.core.files.uploadedfile import InMemoryUploadedFile, SimpleUploadedFile, TemporaryUploadedFile

TEXT = "é – ☃\r\nzwei\n"
LARGE = random.Random(7).randbytes(300_000)


class BytesOnly:
    """The least that a reader can be."""

    def __init__(self, data: bytes) -> None:
        self._left = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._left.read(size)


class Unseekable(io.RawIOBase):
    """A stream that gives its bytes once, a few at a time."""

    def __init__(self, data: bytes) -> None:
        self._left = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._left.read(min(len(buffer), 1000))
        buffer[: len(piece)] = piece
        return len(piece)


def temporary_upload(directory: Path) -> TemporaryUploadedFile:
    upload = TemporaryUploadedFile("t.bin", "application/x-test", len(LARGE), None)
    upload.write(LARGE)
    upload.flush()
    return upload


def file_at_an_offset(directory: Path) -> Any:
    (directory / "source").write_bytes(LARGE)
    opened = open(directory / "source", "rb")  # noqa: SIM115 - the storage is what reads it
    opened.seek(1234)
    return File(opened)


def closed_file(directory: Path) -> File[bytes]:
    (directory / "source").write_bytes(LARGE)
    with open(directory / "source", "rb") as opened:
        content = File(opened)
    assert content.closed
    return content


def closed_writer(directory: Path) -> File[bytes]:
    """A file that was open for writing: opening it again in its own mode would empty it."""
    with open(directory / "source", "wb") as opened:
        opened.write(LARGE)
        content = File(opened)
    return content


def consumed(directory: Path) -> ContentFile[bytes]:
    content = ContentFile(LARGE)
    content.read()
    return content


#: How each kind is made, with a directory to make it in, and the bytes that it stands for.
CONTENTS: dict[str, tuple[Callable[[Path], Any], bytes]] = {
    "ContentFile of bytes": (lambda _: ContentFile(LARGE), LARGE),
    "ContentFile of str": (lambda _: ContentFile(TEXT), TEXT.encode()),
    "consumed ContentFile": (consumed, LARGE),
    "empty": (lambda _: ContentFile(b""), b""),
    "File": (file_at_an_offset, LARGE),
    "closed File": (closed_file, LARGE),
    "closed File that was written": (closed_writer, LARGE),
    "SimpleUploadedFile": (lambda _: SimpleUploadedFile("u.bin", LARGE, "application/x-test"), LARGE),
    "InMemoryUploadedFile": (
        lambda _: InMemoryUploadedFile(io.BytesIO(LARGE), "f", "u.bin", "application/x-test", len(LARGE), None),
        LARGE,
    ),
    "TemporaryUploadedFile": (temporary_upload, LARGE),
    "BytesIO": (lambda _: io.BytesIO(LARGE), LARGE),
    "StringIO": (lambda _: io.StringIO(TEXT, newline=""), TEXT.encode()),
    "File of a reader of bytes": (lambda _: File(BytesOnly(LARGE)), LARGE),
    "unseekable": (lambda _: Unseekable(LARGE), LARGE),
    "File of an unseekable": (lambda _: File(Unseekable(LARGE)), LARGE),
    "unseekable, buffered": (lambda _: io.BufferedReader(Unseekable(LARGE)), LARGE),
}
