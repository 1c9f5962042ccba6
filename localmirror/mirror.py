"""LocalMirrorMixin: every file is saved to the remote and to a directory, and read from the directory."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.conf import settings
from django.core.files.base import File
from django.utils.deconstruct import deconstructible

from localmirror import conf
from localmirror.content import SpooledContent, byte_chunks
from localmirror.exceptions import OfflineError
from localmirror.hashing import check_mro
from localmirror.index import Entry, Index, stamp_of
from localmirror.local import MirrorDirectory, Spool, is_read_only_error
from localmirror.manifest import open_manifest
from localmirror.names import (
    Digests,
    clean_file_name,
    clean_name,
    digests_of_file,
    is_reserved,
    may_be_immutable,
)
from localmirror.offline import is_offline
from localmirror.remote import RemoteSeam
from localmirror.writing import MirroredWriteFile, is_write_mode

logger = logging.getLogger("localmirror")

_storages: weakref.WeakSet[LocalMirrorMixin] = weakref.WeakSet()
_storages_lock = threading.Lock()


class _Runtime:
    """What a storage holds while it runs, and leaves behind when it is pickled or forked."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.mirror = MirrorDirectory(location)
        self.index = Index(self.mirror)


@deconstructible
class LocalMirrorMixin(RemoteSeam):
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
        check_mro(cls, LocalMirrorMixin)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # All of the mirror stands before the remote is set up: hashing mixins open their manifest while it is.
        for name, value in conf.take_options(type(self), kwargs).items():
            setattr(self, name, value)
        for name in conf.OPTIONS:
            conf.check_value(self, name)
        with _storages_lock:
            _storages.add(self)
        super().__init__(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())  # type: ignore[call-overload]
        return {name: value for name, value in state.items() if not name.startswith("_localmirror_")}

    # -- the two halves ------------------------------------------------------------------------------------------

    @property
    def _runtime(self) -> _Runtime:
        location = conf.mirror_location(self)
        runtime: _Runtime | None = self.__dict__.get("_localmirror_runtime")
        if runtime is None or runtime.location != location:
            runtime = self.__dict__["_localmirror_runtime"] = _Runtime(location)
        return runtime

    @property
    def mirror(self) -> MirrorDirectory:
        """The local half: the directory that ``mirror_location``, or the role's setting, names now."""
        return self._runtime.mirror

    @property
    def index(self) -> Index:
        """What the mirror knows of its copies."""
        return self._runtime.index

    def is_manifest(self, name: str) -> bool:
        """Whether *name* is the storage's own manifest, which is read from the remote and written last."""
        return False

    # -- writing -------------------------------------------------------------------------------------------------

    def _save(self, name: str, content: Any) -> str:
        name = clean_file_name(name)
        if is_offline():
            raise OfflineError(f"Saving {name!r} would have to reach the remote inside localmirror.offline().")
        with self._spool() as spool:
            digests = Digests(name)
            for chunk in byte_chunks(content):
                digests.update(chunk)
                spool.file.write(chunk)
            return self.save_spooled(name, spool, digests, getattr(content, "content_type", None))

    def save_spooled(self, name: str, spool: Spool, digests: Digests, content_type: str | None = None) -> str:
        """Send a spooled file to the remote, put it in place in the mirror, and return the name it went under."""
        spool.file.flush()
        with self._locked(name):
            if digests.named and self._holds(name, digests):
                return name
            with self._local_errors_as_configured(name):
                self.mirror.check_writable(name)
            with open(spool.path, "rb") as file:
                content = SpooledContent(file, name, spool.path, digests.size, content_type)
                try:
                    uploaded = self.upload(name, content, immutable=digests.named)
                except BaseException:
                    # Whether the remote has the old file or the new one is no longer known: ask before trusting.
                    with suppress(OSError):
                        self.index.forget(name)
                    raise
            saved = clean_name(uploaded.name)
            with self._local_errors_as_configured(saved):
                self._keep(saved, spool, digests, uploaded.etag)
            return saved

    def _holds(self, name: str, digests: Digests) -> bool:
        found = self.mirror.find(name)
        known = found and self.index.entry(name, self.remote_identity(), found)
        return bool(known and known.immutable and known.md5 == digests.md5)

    def _keep(self, name: str, spool: Spool, digests: Digests, fingerprint: str | None) -> str:
        path = self.mirror.place(spool, name)
        stamp = stamp_of(os.stat(path))
        self.index.note(
            Entry(
                name=name,
                remote=self.remote_identity(),
                md5=digests.md5,
                size=digests.size,
                immutable=digests.named,
                fingerprint=fingerprint,
                stamp=stamp,
                checked=time.time(),
            )
        )
        return path

    def _spool(self) -> Spool:
        try:
            return self.mirror.spool()
        except OSError as error:
            if self.mirror_on_error != "log":
                raise
            logger.error(
                "The mirror %s cannot be written to (%s); saving to the remote alone.",
                self.mirror.root,
                error,
            )
            return Spool(tempfile.gettempdir())

    @contextmanager
    def _local_errors_as_configured(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if self.mirror_on_error != "log":
                raise
            logger.error("%r is not in the mirror %s: %s", name, self.mirror.root, error)
            with suppress(OSError):  # already reported; an old copy must not be served as if it were the new one
                self.mirror.delete(name)

    def _locked(self, name: str) -> AbstractContextManager[None]:
        try:
            os.makedirs(os.path.join(self.mirror.root, ".localmirror", "locks"), exist_ok=True)
        except OSError:
            if self.mirror_on_error != "log":
                raise
            return nullcontext()
        return self.mirror.lock(name)

    def delete(self, name: str) -> None:
        """Delete *name* from the remote, then from the mirror; a missing file is no error."""
        name = clean_file_name(name)
        if is_offline():
            raise OfflineError(f"Deleting {name!r} would have to reach the remote inside localmirror.offline().")
        with self._locked(name):
            try:
                super().delete(name)
            except Exception as error:
                if not self.is_missing(error):
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
        return File(open(path, mode), name)

    def local_copy(self, name: str) -> str:
        """Return the path of a copy of *name* in the mirror that may be trusted, fetching it if need be.

        Raises FileNotFoundError where neither half has it, and whatever the remote raises when it cannot be read.
        """
        found = self.mirror.find(name)
        if is_offline():
            if found is None:
                raise FileNotFoundError(f"{name!r} is not in the mirror {self.mirror.root}, and the remote is offline.")
            return self.mirror.path(name)
        if found is not None and self._is_trusted(name, found):
            return self.mirror.path(name)
        with self.mirror.lock(name) if found is None else self._read_lock(name):
            found = self.mirror.find(name)
            if found is None:
                return self._fetch(name)
            if self._is_trusted(name, found, reread=True):
                return self.mirror.path(name)
            return self._revalidated(name, found)

    def _read_lock(self, name: str) -> AbstractContextManager[None]:
        try:
            os.makedirs(os.path.join(self.mirror.root, ".localmirror", "locks"), exist_ok=True)
            return self.mirror.lock(name)
        except OSError as error:
            if not is_read_only_error(error):
                raise
            return nullcontext()

    def _is_trusted(self, name: str, found: os.stat_result, *, reread: bool = False) -> bool:
        look = self.index.reread if reread else self.index.entry
        known = look(name, self.remote_identity(), found)
        if known is None and may_be_immutable(name):
            known = self._learn(name, found)
        return known is not None and (known.immutable or known.is_younger_than(self.mirror_max_age))

    def _learn(self, name: str, found: os.stat_result) -> Entry | None:
        """Note a file that came into the mirror by other ways, if its name proves its content."""
        digests = digests_of_file(name, self.mirror.path(name))
        if not digests.named:
            return None
        entry = self._entry(name, digests, found, checked=0)
        self.index.note(entry)
        return entry

    def _entry(self, name: str, digests: Digests, found: os.stat_result, checked: float) -> Entry:
        return Entry(
            name=name,
            remote=self.remote_identity(),
            md5=digests.md5,
            size=digests.size,
            immutable=digests.named,
            fingerprint=None,
            stamp=stamp_of(found),
            checked=checked,
        )

    def _revalidated(self, name: str, found: os.stat_result) -> str:
        path = self.mirror.path(name)
        try:
            now = self.remote_file(name)
        except Exception as error:
            if not self.is_unavailable(error):
                raise
            logger.warning("Serving %r from the mirror as it is: %s", name, self.describe_error(error))
            return path
        if now is None:
            with suppress_read_only():
                self.mirror.delete(name)
                self.index.forget(name)
            raise FileNotFoundError(f"{name!r} does not exist in {self.describe_remote()} any more.")
        known = self.index.entry(name, self.remote_identity(), found)
        if known is None:
            known = self._entry(name, digests_of_file(name, path), found, checked=0)
        same = now.fingerprint == known.fingerprint if known.fingerprint else now.md5 == known.md5
        if not same:
            return self._fetch(name)
        self.index.note_checked(known, now.fingerprint)
        return path

    def _fetch(self, name: str) -> str:
        with self.mirror.spool() as spool:
            with self.missing_is_not_found(name):
                told = self.download(name, spool.file)
            spool.file.flush()
            return self._keep(name, spool, digests_of_file(name, spool.path), told.fingerprint if told else None)

    def exists(self, name: str) -> bool:
        """Whether the remote has a file *name*; False for the root."""
        name = clean_name(name)
        if not name:
            return False
        if (self.exists_trusts_mirror or is_offline()) and self.mirror.find(name) is not None:
            return True
        return not is_offline() and super().exists(name)

    def size(self, name: str) -> int:
        """Return the size of *name* in bytes. Raises FileNotFoundError where neither half has it."""
        found = self._trusted_status(clean_file_name(name))
        if found is not None:
            return found.st_size
        with self.missing_is_not_found(name):
            return super().size(clean_name(name))

    def _trusted_status(self, name: str) -> os.stat_result | None:
        found = self.mirror.find(name)
        if is_offline():
            if found is None:
                raise FileNotFoundError(f"{name!r} is not in the mirror {self.mirror.root}, and the remote is offline.")
            return found
        return found if found is not None and self._is_trusted(name, found) else None

    def get_modified_time(self, name: str) -> datetime:
        """Return when *name* was last modified, aware if ``USE_TZ``. Raises FileNotFoundError if it is missing."""
        found = None if self.dates_from_remote and not is_offline() else self._trusted_status(clean_file_name(name))
        if found is not None:
            return _as_datetime(found.st_mtime)
        with self.missing_is_not_found(name):
            return super().get_modified_time(clean_name(name))

    def get_created_time(self, name: str) -> datetime:
        """Return when *name* was created, aware if ``USE_TZ``. Raises FileNotFoundError if it is missing."""
        found = None if self.dates_from_remote and not is_offline() else self._trusted_status(clean_file_name(name))
        if found is not None:
            return _as_datetime(found.st_ctime)
        with self.missing_is_not_found(name):
            return super().get_created_time(clean_name(name))

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
            except FileNotFoundError:
                return self.mirror.path(name)
        return self.mirror.path(name)


@contextmanager
def suppress_read_only() -> Iterator[None]:
    """Let a mirror that cannot be written to stay as it is."""
    try:
        yield
    except OSError as error:
        if not is_read_only_error(error):
            raise


def _as_datetime(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, tz=UTC if settings.USE_TZ else None)


def _forget_connections_after_fork() -> None:
    for storage in list(_storages):
        storage.forget_connections()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_connections_after_fork)
