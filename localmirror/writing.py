"""Files as a mirrored storage opens them; those for writing are spooled, and saved to both halves when closed."""

from __future__ import annotations

import os
import shutil
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from django.core.files.base import File

from localmirror.exceptions import OfflineError
from localmirror.names import digests_of_file
from localmirror.offline import is_offline

if TYPE_CHECKING:
    from localmirror.mirror import LocalMirrorMixin


def is_write_mode(mode: str) -> bool:
    """Whether a file opened in *mode* can be written to."""
    return bool(set(mode) & set("wax+"))


class MirroredFile(File):  # type: ignore[type-arg]
    """A file of the mirror, open for reading.

    It can be opened again, which is up to the storage: Django's own File would look for its name in the working
    directory of the process.
    """

    def __init__(self, storage: LocalMirrorMixin, file: IO[Any], name: str, mode: str) -> None:
        super().__init__(file, name)
        self.mode = mode
        self._storage = storage

    def open(self, mode: str | None = None) -> Self:  # type: ignore[override]
        """Go back to the beginning, or open it again if it was closed."""
        if self.closed:
            self.mode = mode or self.mode
            self.file = self._storage.open(str(self.name), self.mode)
        else:
            self.seek(0)
        return self


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
        super().__init__(self._started(mode), name)
        self.mode = mode

    def _started(self, mode: str) -> IO[Any]:
        self._spool = self._storage.spool_for_writing()
        self._done = False
        try:
            self._begin(self._storage, self._target, mode)
            self._writer = self._open_spool(mode)
        except BaseException:
            self._spool.discard()
            raise
        return self._writer

    def open(self, mode: str | None = None) -> Self:  # type: ignore[override]
        """Go back to the beginning, or open it again if it was closed."""
        if not self._done:
            self.seek(0)
            return self
        self.mode = mode or self.mode
        if is_write_mode(self.mode):
            self.file = self._started(self.mode)
        else:
            self.file = self._storage.open(self._target, self.mode)
        return self

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

    def _open_spool(self, mode: str) -> IO[Any]:
        plain = mode.replace("x", "w").replace("b", "").replace("t", "")
        if "b" in mode:
            return open(self._spool.path, f"{plain}b")
        return open(self._spool.path, plain, encoding="utf-8", newline="")

    @property
    def size(self) -> int:
        """The number of bytes written so far, or those of the file that they have become."""
        if self._done:
            return self._storage.size(self._target)
        self._writer.flush()
        return os.fstat(self._writer.fileno()).st_size

    def close(self) -> None:
        """Save to both halves. Raises whatever the remote raises; neither half is changed then."""
        if self._done:
            super().close()
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
