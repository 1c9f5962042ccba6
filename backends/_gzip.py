"""Compressing what goes to a remote, and decompressing what comes from it, without holding it in memory."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from django.core.files.base import File

from localmirror.content import CHUNK_SIZE, byte_chunks


@contextmanager
def packed_if(wanted: bool, file: File[bytes]) -> Iterator[File[bytes]]:
    """Give *file*, or if *wanted* its gzipped form, on disk: always the same bytes for the same content.

    They are the bytes that django-storages' GoogleCloudStorage makes, and so equal to what it has stored.
    """
    if not wanted:
        yield file
        return
    with tempfile.TemporaryFile() as body:
        with gzip.GzipFile(filename="", mode="wb", fileobj=body, mtime=0) as packer:
            for chunk in byte_chunks(file):
                packer.write(chunk)
        body.seek(0)
        yield File(body)


def unpack(file: IO[bytes], start: int) -> None:
    """Replace what *file* holds from *start* on, which is gzipped, by its content."""
    with tempfile.TemporaryFile() as plain:
        file.seek(start)
        with gzip.GzipFile(fileobj=file, mode="rb") as packed:
            shutil.copyfileobj(packed, plain, CHUNK_SIZE)
        file.seek(start)
        file.truncate()
        plain.seek(0)
        shutil.copyfileobj(plain, file, CHUNK_SIZE)
