"""Seeing only the mirror: a context in which no mirrored storage asks its remote anything."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_depth = 0


@contextmanager
def offline() -> Iterator[None]:
    """Let every mirrored storage that is built or used inside see only its mirror.

    It holds for the whole process, other threads included, because hashing mixins work in pool threads. Reading what
    the mirror lacks raises FileNotFoundError; saving or deleting outside of staging raises
    `localmirror.exceptions.OfflineError`.
    """
    global _depth
    with _lock:
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()  # another thread of the parent may have held it


def is_offline() -> bool:
    """Whether an `offline` context is open anywhere in this process."""
    return _depth > 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
