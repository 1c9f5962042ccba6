"""Files opened for writing: spooled on local disk, saved to both halves when they are closed."""

from __future__ import annotations

import os
import shutil
from types import TracebackType
from typing import TYPE_CHECKING, Any

from django.core.files.base import File

from localmirror.exceptions import OfflineError
from localmirror.names import digests_of_file
from localmirror.offline import is_offline

if TYPE_CHECKING:
    from localmirror.mirror import LocalMirrorMixin


def is_write_mode(mode: str) -> bool:
    """Whether a file opened in *mode* can be written to."""
    return bool(set(mode) & set("wax+"))


class MirroredWriteFile(File):  # type: ignore[type-arg]
    """A file that appears in both halves when it is closed, and in neither if its ``with`` block raises.

    All modes of `open` work: ``a`` and ``r+`` begin with what is there (``r+`` raises FileNotFoundError where
    nothing is), ``x`` raises FileExistsError where something is. Text is UTF-8.
    """

    def __init__(self, storage: LocalMirrorMixin, name: str, mode: str) -> None:
        if is_offline() and not getattr(storage, "is_staging", False):
            raise OfflineError(f"Writing {name!r} would have to reach the remote inside localmirror.offline().")
        self._storage = storage
        self._target = name
        self._spool = storage._spool()
        try:
            self._begin(storage, name, mode)
            self._writer = self._open_spool(mode)
            super().__init__(self._writer, name)
        except BaseException:
            self._spool.discard()
            raise
        self.mode = mode
        self._done = False

    def _begin(self, storage: LocalMirrorMixin, name: str, mode: str) -> None:
        if "x" in mode and storage.exists(name):
            raise FileExistsError(f"{name!r} exists already.")
        if "r" not in mode and "a" not in mode:
            return
        try:
            with storage.open(name, "rb") as present:
                shutil.copyfileobj(present, self._spool.file)
        except FileNotFoundError:
            if "r" in mode:
                raise
        self._spool.file.flush()

    def _open_spool(self, mode: str) -> Any:
        plain = mode.replace("x", "w").replace("b", "").replace("t", "")
        if "b" in mode:
            return open(self._spool.path, f"{plain}b")
        return open(self._spool.path, plain, encoding="utf-8", newline="")

    @property
    def size(self) -> int:
        """The number of bytes written so far."""
        self._writer.flush()
        return os.fstat(self._writer.fileno()).st_size

    def close(self) -> None:
        """Save to both halves. Raises whatever the remote raises; neither half is changed then."""
        if self._done:
            return
        self._done = True
        self._writer.close()
        with self._spool as spool:
            self._storage.save_spooled(self._target, spool, digests_of_file(self._target, spool.path))

    def discard(self) -> None:
        """Close without saving anything."""
        self._done = True
        self._writer.close()
        self._spool.discard()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if exc_type is None:
            self.close()
        else:
            self.discard()
