"""Sources as post-processing sees them: each file tells the digest that was taken when it was collected.

Hashing reads every file that it renames. What collectstatic has just read and digested need not be read again, and
what is only to be renamed need not be copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.contrib.staticfiles.storage import HashedFilesMixin

_ATTRIBUTE = "localmirror_source"

#: How many digits HashedFilesMixin.file_hash takes of the MD5.
HASH_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Source:
    """A collected file: its name in the mirror, and the MD5 of its bytes there."""

    name: str
    md5: str


class KnownSource:
    """A finder's storage whose files, opened here, tell what they are."""

    def __init__(self, storage: Any, source: Source) -> None:
        self._storage = storage
        self._source = source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def open(self, path: str, mode: str = "rb") -> Any:
        """Open the file, marked with what is known of it."""
        return told(self._storage.open(path, mode), self._source)


def told(file: Any, source: Source) -> Any:
    """Return *file*, marked with what is known of it."""
    setattr(file, _ATTRIBUTE, source)
    return file


def source_of(content: Any) -> Source | None:
    """Return what is known of *content*, None unless it is a file that `told` has marked."""
    source = getattr(content, _ATTRIBUTE, None)
    return source if isinstance(source, Source) else None


@contextmanager
def digests_handed_on(storage: Any) -> Iterator[None]:
    """Let *storage* take the hash of a known source from its digest, if it hashes as Django itself does.

    Nothing is left to wait for then, and django-manifeststaticfiles-enhanced hashes in one thread unless it is told
    otherwise: several only hinder each other.
    """
    original = getattr(storage, "file_hash", None)
    if getattr(original, "__func__", None) is not HashedFilesMixin.file_hash:
        yield
        return

    def file_hash(name: str | None, content: Any = None) -> Any:
        source = source_of(content)
        return source.md5[:HASH_LENGTH] if source else original(name, content)  # type: ignore[misc]

    ours: dict[str, Any] = {"file_hash": file_hash}
    if getattr(storage, "post_process_workers", None) is None:
        ours["post_process_workers"] = 1
    before = {name: vars(storage)[name] for name in ours.keys() & vars(storage).keys()}
    vars(storage).update(ours)
    try:
        yield
    finally:
        for name in ours:
            del vars(storage)[name]
        vars(storage).update(before)
