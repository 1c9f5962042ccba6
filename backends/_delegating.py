"""A storage that hands everything to another one, which it builds when it is first needed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from typing import IO, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage
from storages.utils import get_available_overwrite_name

from localmirror.adapters import overrides
from localmirror.backends._disk import file_on_disk, replace_on_disk
from localmirror.backends._files import lock_of
from localmirror.backends._generic import build, named_class, stock_of
from localmirror.backends._told import ToldStorage
from localmirror.content import byte_chunks
from localmirror.remote import RemoteFile


class DelegatingStorage(ToldStorage):
    """The storage that *remote* names, as the mirror sees it: an alias of ``STORAGES``, or an entry like one.

    Raises ImproperlyConfigured for a *remote* that cannot be one, and for options that belong to it.
    """

    remote: str | Mapping[str, Any] | None = None
    #: Whether a name that is taken is saved over; else the remote's own policy holds.
    overwrites = False

    def __init__(self, remote: str | Mapping[str, Any] | None = None, **options: Any) -> None:
        if options:
            raise ImproperlyConfigured(
                f"{type(self).__name__} has no option {min(options)!r}: options of the remote belong to the "
                "'OPTIONS' of the entry that 'remote' names."
            )
        self.remote = remote or self.remote
        named_class(self.remote)

    @property
    def inner(self) -> Storage:
        """The remote."""
        inner: Storage | None = self.__dict__.get("_localmirror_inner")
        if inner is None:
            inner = self.__dict__["_localmirror_inner"] = build(self.remote)
        return inner

    def is_stock(self, *names: str) -> bool:
        """Whether the project has left the methods *names* of the remote as they are known here."""
        cls = type(self.inner)
        return not any(overrides(cls, stock_of(cls), name) for name in names)

    def _alone(self) -> AbstractContextManager[Any]:
        # In Django's storage in memory all readers of a file share one position.
        return lock_of(self) if isinstance(self.inner, InMemoryStorage) else nullcontext()

    def file_status(self, name: str) -> RemoteFile | None:
        """Return what the remote says of the file *name*, None if there is no such file."""
        inner: Any = self.inner
        if self.is_stock("exists", "size", "get_modified_time"):
            if hasattr(inner, "file_status"):
                told: RemoteFile | None = inner.file_status(name)
                return told
            if isinstance(inner, FileSystemStorage):
                return file_on_disk(name, inner.path(name))
        with self._alone(), suppress(IsADirectoryError, FileExistsError):  # a directory; below a file
            if inner.exists(name):
                modified = None
                with suppress(NotImplementedError):
                    modified = inner.get_modified_time(name)
                return RemoteFile(name, inner.size(name), None, modified)
        return None

    def read_into(self, name: str, target: IO[bytes]) -> None:
        """Write all of *name* to *target*."""
        inner: Any = self.inner
        if hasattr(inner, "read_into") and self.is_stock("_open"):
            inner.read_into(name, target)
            return
        with self._alone(), inner.open(name) as file:
            for chunk in byte_chunks(file):
                target.write(chunk)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        with self._alone():
            return self.inner.listdir(path)

    def url(self, name: str | None) -> str:
        return self.inner.url(name)

    def get_modified_time(self, name: str) -> datetime:
        self.existing(name)
        return self.inner.get_modified_time(name)

    def get_created_time(self, name: str) -> datetime:
        self.existing(name)
        return self.inner.get_created_time(name)

    def get_accessed_time(self, name: str) -> datetime:
        self.existing(name)
        return self.inner.get_accessed_time(name)

    def get_valid_name(self, name: str) -> str:
        return self.inner.get_valid_name(name)

    def generate_filename(self, filename: str | os.PathLike[str]) -> str:
        return self.inner.generate_filename(filename)

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        if self.overwrites:
            return str(get_available_overwrite_name(name, max_length))
        return self.inner.get_available_name(name, max_length)

    def _save(self, name: str, content: File[bytes]) -> str:
        inner: Any = self.inner
        with self._alone():
            return str(inner._save(name, content))

    def replace(self, name: str, content: File[bytes]) -> str:
        """Save *content* as *name* whether or not it is taken, and return the name that the remote gave it.

        On local disk nobody sees the file missing, or a part of it.
        """
        inner: Any = self.inner
        if isinstance(inner, FileSystemStorage):
            return replace_on_disk(inner, name, content)
        if isinstance(inner, InMemoryStorage):
            with self._alone(), suppress(FileNotFoundError):
                inner.open(name, "rb+").truncate(0)  # else what is longer keeps its end
        return DelegatingStorage._save(self, name, content)

    def delete(self, name: str) -> None:
        with self._alone():
            if self.exists(name):  # some fail else, and some delete directories
                self.inner.delete(name)
