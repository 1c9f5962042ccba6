"""The copies in the mirror: which of them may be trusted, and fetching what is missing."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from localmirror import conf
from localmirror.current import must_be_current
from localmirror.exceptions import PublishError
from localmirror.index import Entry, Index
from localmirror.local import MirrorDirectory, Spool, is_read_only_error
from localmirror.names import Digests, digests_of_file, may_be_immutable
from localmirror.offline import is_offline
from localmirror.remote import RemoteSeam

logger = logging.getLogger("localmirror")


class _Runtime:
    """What a storage holds while it runs, and leaves behind when it is pickled or forked."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.mirror = MirrorDirectory(location)
        self.index = Index(self.mirror)


class Copies(RemoteSeam):
    """The local half of a mirrored storage, as far as reading goes: the remote is asked when a copy is not enough."""

    mirror_max_age: float | None = 60

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

    @contextmanager
    def locked(self, name: str, tolerated: Callable[[OSError], bool]) -> Iterator[None]:
        """Hold the lock of *name*, or go on without where taking it raises an error that is *tolerated*."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self.mirror.lock(name))
            except OSError as error:
                if not tolerated(error):
                    raise
            yield

    def keep(self, name: str, spool: Spool, digests: Digests, fingerprint: str | None) -> str:
        """Put the spooled file in place as the copy of what the remote calls *fingerprint*, and return its path."""
        path = self.mirror.place(spool, name)
        remote, now = self.remote_identity(), time.time()
        self.index.note_copy(name, remote, digests, os.stat(path), fingerprint=fingerprint, checked=now)
        return path

    def distrust(self, name: str) -> None:
        """Ask before trusting the copy of *name*: what the remote has after an error is not known."""
        with suppress(OSError):
            self.index.forget(name)

    def holds(self, name: str, digests: Digests) -> bool:
        """Whether both halves are known to have just these bytes under the immutable *name*."""
        known = self._known(name)
        return bool(known and known.immutable and known.is_remote_copy and known.md5 == digests.md5)

    def _known(self, name: str) -> Entry | None:
        found = self.mirror.find(name)
        return self.index.entry(name, self.remote_identity(), found) if found is not None else None

    def is_remote_copy(self, name: str) -> bool:
        """Whether the mirror has *name* and knows that this very remote has it too."""
        known = self._known(name)
        return known is not None and known.is_remote_copy

    def note_missing(self, name: str) -> None:
        """Remember that the remote does not have *name* any more, whatever the mirror has been told before."""
        known = self._known(name)
        if known is not None and known.is_remote_copy:
            self.index.note_missing(known)

    def note_remote_copy(self, name: str) -> None:
        """Remember that the remote has *name*, if the name proves that it is what the mirror has."""
        found = self.mirror.find(name)
        known = found is not None and may_be_immutable(name) and self._learn(name, found)
        if known:
            self.index.note_checked(known, None)

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
        with self.locked(name, is_read_only_error):
            return self._renewed(name) if self._agreed(name) is None else self.mirror.path(name)

    def _renewed(self, name: str) -> str:
        try:
            return self._fetch(name)
        except Exception as error:
            if not self.is_unavailable(error) or self.mirror.find(name) is None:
                raise
            self._warn_of_age(name, error)
            return self.mirror.path(name)

    def _warn_of_age(self, name: str, error: Exception) -> None:
        if must_be_current():
            raise PublishError(
                f"{name!r} in the mirror may be older than what is in {self.describe_remote()}: "
                f"{self.describe_error(error)}"
            ) from error
        logger.warning("Serving %r from the mirror as it is: %s", name, self.describe_error(error))

    def _agreed(self, name: str) -> os.stat_result | None:
        """Return the status of the copy of *name*, having asked the remote if need be; None if it has to be fetched.

        Raises FileNotFoundError if the remote had it and has it no more.
        """
        found = self.mirror.find(name)
        if found is None or self._is_trusted(name, found, reread=True) or self._is_confirmed(name, found):
            return found
        return None

    def _is_trusted(self, name: str, found: os.stat_result, *, reread: bool = False) -> bool:
        look = self.index.reread if reread else self.index.entry
        known = look(name, self.remote_identity(), found)
        if known is None and may_be_immutable(name):
            known = self._learn(name, found)
        return known is not None and (known.immutable or known.is_younger_than(self.mirror_max_age))

    def _learn(self, name: str, found: os.stat_result) -> Entry | None:
        """Note a file that came into the mirror by other ways, if its name proves its content."""
        digests = digests_of_file(name, self.mirror.path(name))
        return self.index.note_copy(name, self.remote_identity(), digests, found) if digests.named else None

    def _is_confirmed(self, name: str, found: os.stat_result) -> bool:
        try:
            now = self.remote_file(name)
        except Exception as error:
            if not self.is_unavailable(error):
                raise
            self._warn_of_age(name, error)
            return True
        if now is None:
            # What this remote never had may belong to another storage that shares the directory, or to a staging.
            if self.is_remote_copy(name):
                with suppress_read_only():
                    self.mirror.delete(name)
                    self.index.forget(name)
            raise FileNotFoundError(f"{name!r} does not exist in {self.describe_remote()} any more.")
        remote = self.remote_identity()
        known = self.index.entry(name, remote, found)
        if known is None:
            known = self.index.note_copy(name, remote, digests_of_file(name, self.mirror.path(name)), found)
        if (now.fingerprint != known.fingerprint) if known.fingerprint else (now.md5 != known.md5):
            return False
        self.index.note_checked(known, now.fingerprint)
        return True

    def _fetch(self, name: str) -> str:
        with self.mirror.spool() as spool:
            with self.missing_is_not_found(name):
                told = self.download(name, spool.file)
            spool.file.flush()
            return self.keep(name, spool, digests_of_file(name, spool.path), told.fingerprint if told else None)

    def trusted_status(self, name: str) -> os.stat_result | None:
        """Return the status of the copy of *name*, None where the remote has to be asked for it.

        Raises FileNotFoundError if it is gone from the remote, and inside `localmirror.offline` from the mirror.
        """
        found = self.mirror.find(name)
        if is_offline():
            if found is None:
                raise FileNotFoundError(f"{name!r} is not in the mirror {self.mirror.root}, and the remote is offline.")
            return found
        if found is None or self._is_trusted(name, found):
            return found
        with self.locked(name, is_read_only_error):
            return self._agreed(name)


@contextmanager
def suppress_read_only() -> Iterator[None]:
    """Let a mirror that cannot be written to stay as it is."""
    try:
        yield
    except OSError as error:
        if not is_read_only_error(error):
            raise
