"""File systems of their own for a test: small ones that fill up, and ones that turn read-only."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class Disk:
    """A mounted file system; ``root`` is the directory that it is mounted on."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """Refuse every write for as long as the block runs."""
        _mount("-o", "remount,ro", self.root)
        try:
            yield
        finally:
            _mount("-o", "remount,rw", self.root)

    @contextlib.contextmanager
    def full(self, *, leaving: int) -> Iterator[None]:
        """Have only about so many bytes left for as long as the block runs."""
        ballast = self.root / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(bytes(4096)):
                    pass
            with ballast.open("rb+") as file:
                file.truncate(max(0, ballast.stat().st_size - leaving))
            yield
        finally:
            ballast.unlink()


@contextlib.contextmanager
def disk(root: Path, *, kilobytes: int = 1024) -> Iterator[Disk]:
    """Mount a file system of that size on a new directory, or skip the test where that is not allowed."""
    root.mkdir(parents=True)
    try:
        _mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", root)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs the right to mount a tmpfs (root): {error}")
    try:
        yield Disk(root)
    finally:
        subprocess.run(["umount", "-l", root], check=True)


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)
