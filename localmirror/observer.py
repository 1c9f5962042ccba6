"""What a staging tells while it goes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from localmirror.release import ReleaseFile


class Observer(Protocol):
    """What a staging tells while it goes on, to whoever uploads meanwhile."""

    def narrow(self, originals: Iterable[str]) -> None:
        """All that is collected is known."""

    def wants(self, name: str) -> bool:
        """Whether it is of use to be offered *name*."""

    def offer(self, file: ReleaseFile) -> None:
        """The bytes of *file* are final."""
