"""What storages on file servers have in common: one connection, used by one thread at a time."""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import Storage
from django.utils.encoding import filepath_to_uri
from django.utils.timezone import make_naive
from storages.utils import get_available_overwrite_name

from localmirror.backends._told import LoginRefusedError, ToldStorage
from localmirror.mirror import LocalMirrorMixin
from localmirror.remote import RemoteFile

# What a forked process got from its parent: it must not so much as close it, for another thread of the parent may have
# been in the middle of it.
_inherited: list[Any] = []


def abandon(connections: Any) -> None:
    """Keep the *connections* of a parent process from being closed by its child."""
    _inherited.append(connections)


def lock_of(storage: Storage) -> AbstractContextManager[Any]:
    """Return the lock under which *storage* works; it is no part of a pickle, and made anew after a fork."""
    lock: AbstractContextManager[Any] = storage.__dict__.setdefault("_localmirror_lock", threading.RLock())
    return lock


class FileServerStorage(ToldStorage):
    """Django's storage API over four methods that tell, read and write files on a server.

    Its subclasses derive from django-storages' class as well, which they mend. Errors are Python's own:
    FileNotFoundError for a missing file, PermissionError for a refusal, ConnectionError for a server that cannot be
    reached.
    """

    def entries(self, path: str) -> Iterator[tuple[str, RemoteFile | None]]:
        """Iterate over what is in the directory *path*: bare names, with None for a directory."""
        raise NotImplementedError

    def put(self, name: str, content: File[bytes]) -> None:
        """Write *content* to *name* in one step: a reader sees the old file or the new one."""
        raise NotImplementedError

    def files_below(self, prefix: str) -> Iterator[RemoteFile]:
        """Iterate over all files below the directory *prefix*."""
        with suppress(FileNotFoundError):
            for name, found in self.entries(prefix.rstrip("/")):
                if found is None:
                    yield from self.files_below(posixpath.join(prefix, name))
                else:
                    yield found

    def get_modified_time(self, name: str) -> datetime:
        modified = self.existing(name).modified
        if modified is None:
            raise NotImplementedError("The server does not tell when a file was modified.")
        return modified if settings.USE_TZ else make_naive(modified)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        found = list(self.entries(path.strip("/")))
        return [name for name, file in found if file is None], [name for name, file in found if file is not None]

    def url(self, name: str | None) -> str:
        return super().url(str(filepath_to_uri(name or "")))

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        if getattr(self, "allow_overwrite", False):
            return str(get_available_overwrite_name(name, max_length))
        return super().get_available_name(name, max_length)

    def _save(self, name: str, content: File[bytes]) -> str:
        self.put(name, content)
        return name


if TYPE_CHECKING:

    class _Base(LocalMirrorMixin, FileServerStorage): ...

else:
    _Base = LocalMirrorMixin


class FilesMirrorMixin(_Base):
    """LocalMirrorMixin for a remote with the methods of `FileServerStorage`, which tell more than Django's do."""

    mirror_workers = 1  # there is one connection
    identity_attributes: ClassVar[tuple[str, ...]] = ("place",)
    fatal_errors: ClassVar[tuple[type[BaseException], ...]] = (LoginRefusedError,)

    def remote_files(self, prefix: str = "", after: str = "") -> Iterator[RemoteFile]:
        """Iterate over all files below *prefix*, directory by directory."""
        return self.files_below(prefix)

    def remote_file(self, name: str) -> RemoteFile | None:
        """Return what the server says of *name*, None if there is no such file."""
        return self.file_status(name)

    def download(self, name: str, target: IO[bytes]) -> RemoteFile | None:
        """Write the content of *name* to *target*."""
        told = self.existing(name)
        self.read_into(name, target)
        return told

    def forget_connections(self) -> None:
        """Leave the connection to the parent process."""
        abandon([getattr(self, name, None) for name in self.connection_attributes])
        super().forget_connections()
