"""What has been staged and not published: there the mirror is ahead of the remote."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from localmirror.books import STAGED, staged_before
from localmirror.index import stamp_of
from localmirror.mirror import LocalMirrorMixin

if TYPE_CHECKING:
    Base = LocalMirrorMixin
else:
    Base = object


class StagedFirst(Base):
    """Read staged files as the mirror has them until a publish has sent them.

    The remote is not asked for such a file, whose version it does not have: what it has is older, or nothing at all
    where originals stay in the mirror.
    """

    def _is_trusted(self, name: str, found: os.stat_result, *, reread: bool = False) -> bool:
        return super()._is_trusted(name, found, reread=reread) or self._is_ahead(name, found)

    def _is_ahead(self, name: str, found: os.stat_result) -> bool:
        return self._staged_stamps().get(name) == stamp_of(found) and not self.index.is_noted(name, found)

    def _staged_stamps(self) -> Mapping[str, str]:
        status = self.mirror.state_status(STAGED)
        version = None if status is None else (self.mirror.root, stamp_of(status))
        seen: tuple[object, Mapping[str, str]] | None = self.__dict__.get("_localmirror_staged")
        if seen is None or seen[0] != version:
            release = staged_before(self.mirror)
            stamps = {file.name: file.stamp for file in release.files.values()} if release else {}
            seen = self.__dict__["_localmirror_staged"] = (version, stamps)
        return seen[1]
