"""Any storage that ``OPTIONS["remote"]`` names: proof that the mirror needs nothing but Django's Storage API."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO, Any, ClassVar

from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, Storage

from localmirror import conf
from localmirror.backends._delegating import DelegatingStorage
from localmirror.backends._files import abandon
from localmirror.backends._generic import has_one_connection, is_mended, named_class, place_of, secrets_of, stock_of
from localmirror.backends._new_names import NewNames
from localmirror.backends._told import LoginRefusedError
from localmirror.hashing import CachedFilesMixin
from localmirror.names import redact
from localmirror.remote import RemoteFile, Uploaded
from localmirror.roles import CompressorMirrorMixin, StaticMirrorMixin


class GenericMirrorMixin(NewNames, DelegatingStorage):
    """LocalMirrorMixin over the storage that the option *remote* names."""

    identity_attributes: ClassVar[tuple[str, ...]] = ("inner_path", "place")
    fatal_errors: ClassVar[tuple[type[BaseException], ...]] = (LoginRefusedError,)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        chosen = "mirror_workers" in kwargs or type(self).mirror_workers != conf.DEFAULT_WORKERS
        super().__init__(*args, **kwargs)
        if not chosen and has_one_connection(self.remote):
            self.mirror_workers = 1

        if issubclass(named_class(self.remote), FileSystemStorage):
            self._check_apart(os.path.realpath(self.mirror.root), os.path.realpath(self.inner.path("")))

    def _check_apart(self, mirror: str, remote: str) -> None:
        if os.path.commonpath((mirror, remote)) in (mirror, remote):
            raise ImproperlyConfigured(
                f"{type(self).__name__}: the mirror {mirror} and the remote {remote} must be two directories, neither "
                "inside the other."
            )

    @property
    def inner_path(self) -> str:
        """The dotted path of the remote's class."""
        cls = named_class(self.remote)
        return f"{cls.__module__}.{cls.__qualname__}"

    @property
    def place(self) -> str:
        """Where the remote keeps its files."""
        return place_of(self.inner, self.remote)

    def describe_remote(self) -> str:
        """Return words that name the remote in a message."""
        return redact(f"{named_class(self.remote).__name__} ({self.place})", self._secrets())

    def _secrets(self) -> dict[str, Any]:
        return secrets_of(self.remote)

    def remote_files(self, prefix: str = "", after: str = "") -> Iterator[RemoteFile]:
        """Iterate over all files of the remote below *prefix*: as the remote lists them, or directory by directory."""
        inner: Any = self.inner
        if hasattr(inner, "files_below") and self.is_stock("listdir", "exists", "size", "get_modified_time"):
            below: Iterator[RemoteFile] = inner.files_below(prefix)
            return below
        return super().remote_files(prefix)

    def remote_file(self, name: str) -> RemoteFile | None:
        """Return what the remote says of *name*, None if it has no such file."""
        return self.file_status(name)

    def encodes(self, name: str) -> bool:
        """Whether the project has overridden how a known storage saves a file, and so perhaps what."""
        return stock_of(type(self.inner)) is not Storage and not self.is_stock("_save")

    def download(self, name: str, target: IO[bytes]) -> RemoteFile | None:
        """Write the content of *name* to *target*."""
        told = self.existing(name)
        self.read_into(name, target)
        return told

    @property
    def keeps_what_is_there(self) -> bool:
        """Whether what the remote does with a name that is taken is its own affair."""
        return not self.overwrites

    def upload(self, name: str, file: File[bytes], *, immutable: bool) -> Uploaded:
        """Send *file* under its name, or under another one if that is taken and the remote does not overwrite."""
        if self.is_new_name:
            return super().upload(name, file, immutable=immutable)
        return Uploaded(self.replace(name, file))

    def forget_connections(self) -> None:
        """Drop what a child process must not share with its parent; a remote without connections stays."""
        inner: Any = self.__dict__.get("_localmirror_inner")
        super().forget_connections()
        if is_mended(inner):
            abandon(inner)
        elif inner is not None:
            if hasattr(inner, "__setstate__"):
                inner.__setstate__(inner.__getstate__())
            self.__dict__["_localmirror_inner"] = inner


class OverwritingMirrorMixin(GenericMirrorMixin):
    """The same for files that are saved under the very names they are asked for by."""

    overwrites = True


class MirroredStorage(GenericMirrorMixin):
    """Media on any storage, with a mirror."""


class MirroredStaticStorage(StaticMirrorMixin, OverwritingMirrorMixin):
    """Static files on any storage under their own names, with a mirror."""


class MirroredManifestStaticStorage(ManifestFilesMixin, MirroredStaticStorage):  # type: ignore[misc]
    """Static files on any storage under hashed names that a manifest lists, with a mirror."""


class MirroredCachedStaticStorage(CachedFilesMixin, MirroredStaticStorage):  # type: ignore[misc]
    """Static files on any storage under hashed names that Django's cache lists, with a mirror."""


class MirroredCompressorStorage(CompressorMirrorMixin, OverwritingMirrorMixin):
    """The output of django-compressor on any storage, with a mirror."""
