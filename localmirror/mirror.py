"""LocalMirrorMixin: every file is saved to the remote and to a directory, and read from the directory."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.conf import settings
from django.utils.deconstruct import deconstructible

from localmirror import conf
from localmirror.adapters import adopt_adapter
from localmirror.content import SpooledContent, byte_chunks
from localmirror.copies import Copies
from localmirror.exceptions import OfflineError
from localmirror.hashing import adopt_role, check_mro, is_storage
from localmirror.local import Spool, is_read_only_error
from localmirror.manifest import open_manifest
from localmirror.names import Digests, clean_file_name, clean_name, is_reserved
from localmirror.offline import is_offline
from localmirror.writing import MirroredFile, MirroredWriteFile, is_write_mode

logger = logging.getLogger("localmirror")

_storages: weakref.WeakSet[LocalMirrorMixin] = weakref.WeakSet()
_storages_lock = threading.Lock()


@deconstructible
class LocalMirrorMixin(Copies):
    """Save every file to the remote and to a mirror on local disk; answer from disk what can be.

    The remote is the storage class that follows in the MRO: ``class X(LocalMirrorMixin, S3Storage)``. The options
    are those of `localmirror.conf.OPTIONS`, given as keyword arguments or as class attributes; all other arguments
    go to the remote.
    """

    mirror_location: str | os.PathLike[str] | None = None
    mirror_publish: str = "all"
    mirror_workers: int = conf.DEFAULT_WORKERS
    mirror_max_age: float | None = 60
    mirror_manifest: str = "remote"
    mirror_release: str | None = None
    mirror_engine: str = "auto"
    mirror_on_error: str = "raise"
    mirror_immutable_cache_control: str | None = conf.IMMUTABLE_CACHE_CONTROL

    #: What the storage is for. Roles change it, and the five switches below.
    role: ClassVar[str] = "media"
    #: The setting that gives the mirror's directory when no option does.
    mirror_location_setting: ClassVar[str | None] = None
    #: Whether a file in the mirror is proof enough for ``exists``.
    exists_trusts_mirror: ClassVar[bool] = False
    #: Whether ``path`` fetches what the mirror lacks.
    path_fetches: ClassVar[bool] = True
    #: Whether the date of a file is the remote's to tell.
    dates_from_remote: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        conf.check_attributes(cls)
        check_mro(cls, LocalMirrorMixin)
        adopt_role(cls, LocalMirrorMixin)
        remote = cls.remote_class()
        if is_storage(remote):
            adopt_adapter(cls, LocalMirrorMixin, remote)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # All of the mirror stands before the remote is set up: hashing mixins open their manifest while it is.
        for name, value in conf.take_options(type(self), kwargs).items():
            setattr(self, name, value)
        for name in conf.OPTIONS:
            conf.check_value(self, name)
        self._await_forks()
        super().__init__(*args, **kwargs)

    def _await_forks(self) -> None:
        with _storages_lock:
            _storages.add(self)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {name: value for name, value in state.items() if not name.startswith("_localmirror_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        remote = super()
        if hasattr(remote, "__setstate__"):
            remote.__setstate__(state)
        else:
            self.__dict__.update(state)
        self._await_forks()

    # -- the two halves ------------------------------------------------------------------------------------------

    def is_manifest(self, name: str) -> bool:
        """Whether *name* is the storage's own manifest, which is read from the remote and written last."""
        return False

    # -- writing -------------------------------------------------------------------------------------------------

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return the name to save under, as the remote decides; a name that cannot be had is refused unasked."""
        return super().get_available_name(clean_file_name(name), max_length)

    def _save(self, name: str, content: Any) -> str:
        name = clean_file_name(name)
        if is_offline():
            raise OfflineError(f"Saving {name!r} would have to reach the remote inside localmirror.offline().")
        with self._spool() as spool:
            digests = Digests(name)
            for chunk in byte_chunks(content):
                self._write(spool, digests.size, chunk)
                digests.update(chunk)
            return self.save_spooled(name, spool, digests, getattr(content, "content_type", None))

    def save_spooled(self, name: str, spool: Spool, digests: Digests, content_type: str | None = None) -> str:
        """Send a spooled file to the remote, put it in place in the mirror, and return the name it went under."""
        spool.file.flush()
        with self.locked(name, self._may_do_without):
            if digests.named and self.holds(name, digests):
                return name
            with self._local_errors_as_configured(name):
                self.mirror.check_writable(name)
            with open(spool.path, "rb") as file:
                content = SpooledContent(file, name, spool.path, digests.size, content_type)
                with self._distrusted_on_error(name):
                    uploaded = self.upload(name, content, immutable=digests.named)
            saved = clean_name(uploaded.name)
            with self._local_errors_as_configured(saved), self._distrusted_on_error(saved):
                self.keep(saved, spool, digests, uploaded.etag)
            return saved

    @contextmanager
    def _distrusted_on_error(self, name: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.distrust(name)
            raise

    def _may_do_without(self, error: OSError) -> bool:
        """Whether the remote is to be written although the mirror cannot be, as ``mirror_on_error`` says."""
        return self.mirror_on_error == "log"

    def _spool(self) -> Spool:
        try:
            return self.mirror.spool()
        except OSError as error:
            self._do_without(error)
            return Spool(tempfile.gettempdir())

    def spool_for_writing(self) -> Spool:
        """Return a spool for a file that is written bit by bit; it lies elsewhere where the mirror may be full."""
        return Spool(tempfile.gettempdir()) if self.mirror_on_error == "log" else self._spool()

    def _write(self, spool: Spool, written: int, chunk: bytes) -> None:
        try:
            spool.write(chunk)
        except OSError as error:
            self._do_without(error)
            spool.move(tempfile.gettempdir(), written)
            spool.write(chunk)

    def _do_without(self, error: OSError) -> None:
        if not self._may_do_without(error):
            raise error
        root = self.mirror.root
        logger.error("The mirror %s cannot be written to (%s); saving to the remote alone.", root, error)

    @contextmanager
    def _local_errors_as_configured(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._may_do_without(error):
                raise
            logger.error("%r is not in the mirror %s: %s", name, self.mirror.root, error)
            with suppress(OSError):  # already reported; an old copy must not be served as if it were the new one
                self.index.forget(name)
                self.mirror.delete(name)

    def delete(self, name: str) -> None:
        """Delete *name* from the remote, then from the mirror; a missing file is no error."""
        name = clean_file_name(name)
        if is_offline():
            raise OfflineError(f"Deleting {name!r} would have to reach the remote inside localmirror.offline().")
        with self.locked(name, self._may_do_without):
            try:
                super().delete(name)
            except Exception as error:
                if not self.is_missing(error):
                    self.distrust(name)
                    raise
            with self._local_errors_as_configured(name):
                self.mirror.delete(name)
                self.index.forget(name)

    # -- reading -------------------------------------------------------------------------------------------------

    def _open(self, name: str, mode: str = "rb") -> Any:
        name = clean_file_name(name)
        if is_write_mode(mode):
            return MirroredWriteFile(self, name, mode)
        if self.is_manifest(name):
            return open_manifest(self, name, mode)
        try:
            path = self.local_copy(name)
        except OSError as error:
            if not is_read_only_error(error):
                raise
            with self.missing_is_not_found(name):
                return super()._open(name, mode)
        return MirroredFile(self, open(path, mode), name, mode)

    def exists(self, name: str) -> bool:
        """Whether the remote has a file *name*; False for the root."""
        name = clean_name(name)
        if not name:
            return False
        if is_offline():
            return self.mirror.find(name) is not None
        if self.exists_trusts_mirror and self.is_remote_copy(name):
            return True
        there = super().exists(name)
        if not there:
            self.note_missing(name)
        elif self.exists_trusts_mirror:
            self.note_remote_copy(name)
        return there

    def size(self, name: str) -> int:
        """Return the size of *name* in bytes. Raises FileNotFoundError where neither half has it."""
        found = self.trusted_status(clean_file_name(name))
        if found is not None:
            return found.st_size
        with self.missing_is_not_found(name):
            return super().size(clean_name(name))

    def get_modified_time(self, name: str) -> datetime:
        """Return when *name* was last modified, aware if ``USE_TZ``. Raises FileNotFoundError if it is missing."""
        found = None if self.dates_from_remote and not is_offline() else self.trusted_status(clean_file_name(name))
        if found is not None:
            return _as_datetime(found.st_mtime)
        with self.missing_is_not_found(name):
            return super().get_modified_time(clean_name(name))

    def get_created_time(self, name: str) -> datetime:
        """Return when *name* was created, aware if ``USE_TZ``. Raises FileNotFoundError if it is missing."""
        found = None if self.dates_from_remote and not is_offline() else self.trusted_status(clean_file_name(name))
        if found is not None:
            return _as_datetime(found.st_ctime)
        with self.missing_is_not_found(name):
            try:
                return super().get_created_time(clean_name(name))
            except NotImplementedError:
                if self.remote_file(clean_name(name)) is None:
                    raise FileNotFoundError(f"{name!r} does not exist in {self.describe_remote()}.") from None
                raise

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the directories and files that the remote has in *path*, localmirror's own left out."""
        name = clean_name(path)
        if is_offline():
            return self.mirror.listdir(name)
        directories, files = super().listdir(name)
        return [d for d in directories if name or not is_reserved(d)], files

    def path(self, name: str) -> str:
        """Return the absolute path of *name* in the mirror, whether or not the file exists.

        Media and compressor storages fetch it first if the mirror lacks it. Raises NotImplementedError for the root:
        a storage that has one is taken for a local one by collectstatic.
        """
        name = clean_name(name)
        if not name:
            raise NotImplementedError("A mirrored storage has no path of its own; ask for the path of a file.")
        if self.path_fetches and not is_offline():
            try:
                return self.local_copy(name)
            except OSError as error:
                if not isinstance(error, FileNotFoundError) and not is_read_only_error(error):
                    raise
        return self.mirror.path(name)


def _as_datetime(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, tz=UTC if settings.USE_TZ else None)


def _forget_connections_after_fork() -> None:
    global _storages_lock
    _storages_lock = threading.Lock()  # another thread of the parent may have held it
    for storage in list(_storages):
        storage.forget_connections()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_connections_after_fork)
