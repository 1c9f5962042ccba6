"""Bytes on their way: how they are held in memory, and how many at a time."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.files.base import File

from localmirror.content import CHUNK_SIZE


def pieces(file: File[bytes]) -> Iterator[bytes]:
    """Yield what *file* holds from where it stands, piece by piece."""
    return iter(lambda: file.read(CHUNK_SIZE), b"")


def whole(file: File[bytes]) -> Any:
    """Return the content of *file*, as a buffer. Raises EOFError if it is shorter than it was.

    What is not small gets pages of its own, which go back to the system at once: the allocator would keep as much for
    every thread that has ever held it.
    """
    size = file.size
    if size <= CHUNK_SIZE:
        return file.read()
    buffer = mmap.mmap(-1, size)
    if file.readinto(buffer) != size:
        raise EOFError(f"{file.name!r} has become shorter while it was read.")
    return buffer


class Flight:
    """A bound on the bytes that all threads together hold; what is larger than the bound goes alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def of(self, size: int) -> Iterator[None]:
        """Hold *size* bytes during the ``with`` block, having waited until they are within the bound."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held or self._held + size <= self._limit)
            self._held += size
        try:
            yield
        finally:
            with self._changed:
                self._held -= size
                self._changed.notify_all()
