"""Django's storage API for a storage that can tell of a file, and read one, in one step each."""

from __future__ import annotations

import posixpath
import secrets
from typing import IO

from django.core.files.base import File
from django.core.files.storage import Storage

from localmirror.content import written_by
from localmirror.remote import RemoteFile, RemoteSeam


class LoginRefusedError(PermissionError):
    """The server does not let us in."""


def temporary_name(name: str) -> str:
    """Return a name in the directory of *name* that nobody else uses."""
    return posixpath.join(posixpath.dirname(name), f".{secrets.token_hex(8)}.tmp")


class ToldStorage(Storage):
    """What follows from two methods, `file_status` and `read_into`."""

    @property
    def place(self) -> str:
        """Where the files are, in words and without a password."""
        raise NotImplementedError

    def file_status(self, name: str) -> RemoteFile | None:
        """Return what the server says of the file *name*, None if there is no such file."""
        raise NotImplementedError

    def read_into(self, name: str, target: IO[bytes]) -> None:
        """Write all of *name* to *target*."""
        raise NotImplementedError

    def existing(self, name: str) -> RemoteFile:
        """Return what the server says of the file *name*. Raises FileNotFoundError if there is no such file."""
        found = self.file_status(name)
        if found is None:
            where = self.describe_remote() if isinstance(self, RemoteSeam) else self.place
            raise FileNotFoundError(f"{name!r} does not exist in {where}.")
        return found

    def exists(self, name: str) -> bool:
        return self.file_status(name) is not None

    def size(self, name: str) -> int:
        return self.existing(name).size

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        return written_by(self.read_into, name)
