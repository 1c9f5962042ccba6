"""Publishing nothing outdated: a context in which the mirror does not stand in for a remote that cannot be reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

# A set, whose changes are atomic, and no counter: a child is forked with no lock that somebody else may hold.
_open: set[object] = set()


@contextmanager
def nothing_outdated() -> Iterator[None]:
    """Let reading raise an error where the mirror would be read because the remote cannot be asked.

    A page is better served from an old copy than not at all; what is published from one replaces what is newer. It
    holds for the whole process, other threads included, because templates are compressed in pool threads. With
    ``mirror_manifest`` ``"local"``, and for copies that are trusted without asking, nothing changes.
    """
    token = object()
    _open.add(token)
    try:
        yield
    finally:
        _open.discard(token)


def must_be_current() -> bool:
    """Whether a `nothing_outdated` context is open anywhere in this process."""
    return bool(_open)
