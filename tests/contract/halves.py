"""What the two halves of a rig's storage hold, localmirror's own files left out, and what it cost to ask."""

from __future__ import annotations

import contextlib
import hashlib
import posixpath
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ..deploying import mirrored, public
from ..rigs import RIGS, Rig


def on(fits: Callable[[type[Rig]], bool]) -> pytest.MarkDecorator:
    """Run a test on the rigs that fit, where the others have nothing to show for it."""
    return pytest.mark.parametrize("rig", [rig.name for rig in RIGS if fits(rig)], indirect=True)


def both(rig: Rig) -> dict[str, bytes]:
    """Return what both halves hold, having made sure that it is the same."""
    found = public(rig)
    assert mirrored(rig) == found
    return found


def empty_mirror(rig: Rig, storage: Any, *names: str) -> None:
    """Remove files from the mirror, as if this host had never seen them."""
    for name in names:
        (rig.mirror / name).unlink()
        storage.index.forget(name)


def assert_no_spools(rig: Rig) -> None:
    assert not list(rig.mirror.glob(".localmirror/tmp/*"))


@contextlib.contextmanager
def no_requests(rig: Rig) -> Iterator[None]:
    """Make sure that nothing in the block asks the remote, where its requests can be seen."""
    if not rig.http:
        yield
        return
    with rig.wire.recording() as seen:
        yield
    assert seen == []


def hashed(name: str, content: bytes) -> str:
    """Return the name that Django's hashing gives to a file."""
    root, extension = posixpath.splitext(name)
    return f"{root}.{hashlib.md5(content).hexdigest()[:12]}{extension}"


def failures_of(check: Callable[[str], None], names: list[str]) -> dict[str, str]:
    """Run a check for each name and return what was wrong with which, so that one name does not hide the others."""
    found = {}
    for name in names:
        try:
            check(name)
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found
