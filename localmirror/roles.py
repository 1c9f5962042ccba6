"""Roles: what a mirrored storage is for, and what follows from it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.staticfiles.storage import HashedFilesMixin
from django.core.files.base import File
from django.core.files.storage import Storage
from django.utils.encoding import filepath_to_uri

from localmirror.books import read_staged
from localmirror.compressed import CompressorMirrorMixin
from localmirror.exceptions import NothingStagedError, StagingInProgressError
from localmirror.hashing import check_role
from localmirror.local import Spool, is_read_only_error
from localmirror.mirror import LocalMirrorMixin
from localmirror.names import Digests, clean_file_name, clean_name
from localmirror.release import Release
from localmirror.staged import StagedFirst
from localmirror.staging import Staging

__all__ = ["CompressorMirrorMixin", "StaticMirrorMixin"]

_LOCK = "staging.lock"


class StaticMirrorMixin(StagedFirst):
    """The role of a storage for static files: a release is staged in the mirror and published as a whole.

    Stand it between the hashing mixin and the mirror. Outside of `staging` it saves twice like any other role.
    """

    role: ClassVar[str] = "static"
    mirror_location_setting: ClassVar[str | None] = "STATIC_ROOT"
    path_fetches: ClassVar[bool] = False
    dates_from_remote: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_role(cls, LocalMirrorMixin)

    # -- staging -------------------------------------------------------------------------------------------------

    @property
    def is_staging(self) -> bool:
        """Whether the storage writes to its mirror only, at the moment."""
        return self._staging is not None

    @property
    def _staging(self) -> Staging | None:
        return self.__dict__.get("_localmirror_staging")

    @contextmanager
    def staging(self, *, lock: bool = True) -> Iterator[Staging]:
        """Write to the mirror only, in all threads, until the end of the ``with`` block.

        Nothing is written down unless `Staging.commit` is called. *lock* False is for a staging that will change
        nothing. Raises StagingInProgressError if somebody else is at it in the same directory.
        """
        if self.is_staging:
            raise StagingInProgressError(f"Another release is being staged in the mirror {self.mirror.root}, by us.")
        with self.exclusively("staging") if lock else _unlocked():
            if lock:
                self.mirror.sweep_spools()
            staging = Staging(self)
            self.__dict__["_localmirror_staging"] = staging
            try:
                with self.mirror.directories_known(), self._manifest_held(staging):
                    yield staging
            finally:
                del self.__dict__["_localmirror_staging"]

    @contextmanager
    def exclusively(self, doing: str) -> Iterator[None]:
        """Be the only one who stages into the mirror, or publishes from it; a read-only mirror needs no lock.

        Raises StagingInProgressError, naming the one who is at it already.
        """
        if self.__dict__.get("_localmirror_exclusive") == threading.get_ident():
            yield
            return
        try:
            taken = self.mirror.try_lock(_LOCK, f"process {os.getpid()} ({doing})")
            holder = taken.__enter__()
        except OSError as error:
            if not is_read_only_error(error):
                raise
            yield
            return
        try:
            if holder is not None:
                raise StagingInProgressError(
                    f"Another release is being prepared in the mirror {self.mirror.root}, by {holder}. "
                    "Wait until it has finished, or stage into another directory."
                )
            self.__dict__["_localmirror_exclusive"] = threading.get_ident()
            try:
                yield
            finally:
                del self.__dict__["_localmirror_exclusive"]
        finally:
            taken.__exit__(None, None, None)

    @contextmanager
    def _manifest_held(self, staging: Staging) -> Iterator[None]:
        manifest_storage = getattr(self, "manifest_storage", None)
        if manifest_storage is None or manifest_storage is self:
            yield
            return
        self.manifest_storage = _HeldManifestStorage(staging, manifest_storage)
        try:
            yield
        finally:
            self.manifest_storage = manifest_storage

    def staged_release(self) -> Release:
        """Return the release that was staged last. Raises NothingStagedError if there is none in the mirror."""
        release = read_staged(self.mirror)
        if release is None:
            raise NothingStagedError(
                f"Nothing has been staged in the mirror {self.mirror.root}: run 'manage.py collectstatic --stage' "
                "first, and keep its hidden directory .localmirror with the files."
            )
        return release

    def is_manifest(self, name: str) -> bool:
        """Whether *name* is the manifest that a hashing mixin keeps in this very storage."""
        manifest_storage = self.__dict__.get("manifest_storage", self)
        kept_here = manifest_storage is self or isinstance(manifest_storage, _HeldManifestStorage)
        return kept_here and name == getattr(self, "manifest_name", None)

    # -- the storage's methods while staging ---------------------------------------------------------------------

    def _save(self, name: str, content: Any) -> str:
        staging = self._staging
        return staging.save(clean_file_name(name), content) if staging else super()._save(name, content)

    def collect(self, name: str, content: File[Any]) -> None:
        """Save a collected file while staging.

        ``Storage.save`` would check the name three times more, which is left out where no class has ways of its own.
        """
        cls = type(self)
        own = (cls.save, cls.get_available_name) == (Storage.save, StaticMirrorMixin.get_available_name)
        if own:
            self._save(name, content)
        else:
            self.save(name, content)

    def save_spooled(self, name: str, spool: Spool, digests: Digests, content_type: str | None = None) -> str:
        """Put a spooled file in place: in the mirror alone while staging, else in both halves."""
        staging = self._staging
        if staging is None:
            return super().save_spooled(name, spool, digests, content_type)
        with open(spool.path, "rb") as file:
            return staging.save(name, File(file, name))

    def _open(self, name: str, mode: str = "rb") -> Any:
        staging = self._staging
        if staging is None or set(mode) & set("wax+"):
            return super()._open(name, mode)
        return staging.open(clean_file_name(name), mode)

    def exists(self, name: str) -> bool:
        """Whether there is a file *name*: on the remote, or in the mirror while staging."""
        staging = self._staging
        return staging.exists(clean_name(name)) if staging else super().exists(name)

    def delete(self, name: str) -> None:
        """Delete *name*; while staging from the mirror only, at the end, unless it is saved again."""
        staging = self._staging
        if staging is None:
            super().delete(name)
        else:
            staging.delete(clean_file_name(name))

    def size(self, name: str) -> int:
        """Return the size of *name* in bytes. Raises FileNotFoundError if it is missing."""
        staging = self._staging
        return staging.status(clean_file_name(name)).st_size if staging else super().size(name)

    def get_modified_time(self, name: str) -> datetime:
        """Return when *name* was last modified: on the remote, or in the mirror while staging."""
        staging = self._staging
        if staging is None:
            return super().get_modified_time(name)
        modified = staging.status(clean_file_name(name)).st_mtime
        return datetime.fromtimestamp(modified, tz=UTC if settings.USE_TZ else None)

    def get_created_time(self, name: str) -> datetime:
        """Return when *name* was created: on the remote, or in the mirror while staging."""
        return super().get_created_time(name) if self._staging is None else self.get_modified_time(name)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the directories and files in *path*: on the remote, or in the mirror while staging."""
        staging = self._staging
        return staging.listdir(clean_name(path)) if staging else super().listdir(path)

    def url(self, name: str | None, *args: Any, **kwargs: Any) -> str:
        """Return the public address of *name*, which is the remote's to tell.

        While staging, hashing asks it thousands of times for the sake of the last part alone. Where the remote puts
        one address before all names, it is asked once.
        """
        staging = self._staging
        if staging is None or args or kwargs or self._hashes_below():
            return super().url(name, *args, **kwargs)
        return super().url(name) if staging.address is None else staging.address + str(filepath_to_uri(name))

    def _hashes_below(self) -> bool:
        mro = type(self).__mro__
        return any(issubclass(cls, HashedFilesMixin) for cls in mro[mro.index(StaticMirrorMixin) + 1 :])

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return the name to save under: while staging the one asked for, whatever is there."""
        return name if self._staging else super().get_available_name(name, max_length)


class _HeldManifestStorage:
    """Stands in for the storage that a project keeps its manifest in, and holds what is saved until the end."""

    def __init__(self, staging: Staging, storage: Any) -> None:
        self._staging = staging
        self._storage = storage

    def _save(self, name: str, content: Any) -> str:
        return self._staging.save(name, content)

    save = _save

    def open(self, name: str, mode: str = "rb") -> Any:
        return self._staging.open(name, mode) if name in self._staging.held else self._storage.open(name, mode)

    def exists(self, name: str) -> bool:
        return name in self._staging.held

    def delete(self, name: str) -> None:
        self._staging.held.pop(name, None)


@contextmanager
def _unlocked() -> Iterator[None]:
    yield
