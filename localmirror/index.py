"""What the mirror knows of its copies: which remote they agree with, by what fingerprint, and since when."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from localmirror.local import MirrorDirectory, is_read_only_error
from localmirror.names import Digests

#: What the last publish from this mirror has confirmed, in one file: a sidecar for each name would take long.
PUBLISHED = "published.json"

# Entries kept in memory: a process that reads millions of media files must not hold them all.
_REMEMBERED = 20_000

logger = logging.getLogger("localmirror")


@dataclass(frozen=True)
class Entry:
    """One mirrored copy: what it is, and when it was last known to agree with the remote.

    *remote* is the identity of the remote, *fingerprint* what the remote calls this version (None: not asked yet),
    *stamp* tells the very file in the mirror, *checked* is seconds since the epoch, 0 if the remote has not told yet
    whether it has the file, negative if it has told that it does not.
    """

    name: str
    remote: str
    md5: str
    size: int
    immutable: bool
    fingerprint: str | None
    stamp: str
    checked: float

    @property
    def is_remote_copy(self) -> bool:
        """Whether the remote was seen to have just this, rather than the name promising it."""
        return self.checked > 0

    def is_younger_than(self, max_age: float | None) -> bool:
        """Whether the copy was checked less than *max_age* seconds ago; None means at any time."""
        return self.is_remote_copy and (max_age is None or 0 <= time.time() - self.checked < max_age)


def stamp_of(found: os.stat_result) -> str:
    """Return what tells this version of a file on disk from any later one."""
    return f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"


class Index:
    """Sidecars under ``.localmirror/index/``, one a name, with a copy in memory.

    An entry speaks of one remote and one version of the file on disk; where either differs, there is no entry. On a
    mirror that cannot be written to, what is noted lives as long as the process.
    """

    def __init__(self, mirror: MirrorDirectory) -> None:
        self._mirror = mirror
        self._memory: dict[str, Entry] = {}
        self._published: dict[str, Entry] = {}
        self._published_stamp: str | None = None

    def entry(self, name: str, remote: str, found: os.stat_result) -> Entry | None:
        """Return what is known of *name*, whose file in the mirror has the status *found*."""
        known = self._memory.get(name)
        if known is None or not _speaks_of(known, remote, found):
            known = self._written(name, remote, found)
            if known is not None:
                self._remember(known)
        return known

    def reread(self, name: str, remote: str, found: os.stat_result) -> Entry | None:
        """Return what is known of *name* as another process may have noted it a moment ago."""
        written = self._written(name, remote, found)
        if written is not None:
            self._remember(written)
        return self.entry(name, remote, found)

    def _written(self, name: str, remote: str, found: os.stat_result) -> Entry | None:
        candidates = [e for e in (self._read(name), self.published().get(name)) if e and _speaks_of(e, remote, found)]
        return max(candidates, key=lambda entry: abs(entry.checked), default=None)

    def published(self) -> dict[str, Entry]:
        """Return what the last publish from this mirror has confirmed, by name."""
        stamp = self._stamp_of_published()
        if stamp != self._published_stamp:
            self._published = self._read_published()
            self._published_stamp = stamp
        return self._published

    def _read_published(self) -> dict[str, Entry]:
        data = self._mirror.read_state(PUBLISHED)
        try:
            return {row[0]: Entry(*row) for row in json.loads(data)} if data else {}
        except (ValueError, TypeError, LookupError) as error:
            logger.warning("Ignoring the unreadable %s of the mirror %s: %s", PUBLISHED, self._mirror.root, error)
            return {}

    def _stamp_of_published(self) -> str | None:
        found = self._mirror.state_status(PUBLISHED)
        return None if found is None else stamp_of(found)

    def is_noted(self, name: str, found: os.stat_result) -> bool:
        """Whether anything was noted of this very file, for whichever remote."""
        stamp = stamp_of(found)
        return any(e is not None and e.stamp == stamp for e in (self._read(name), self.published().get(name)))

    def note_published(self, entries: Iterable[Entry]) -> None:
        """Remember what a publish has confirmed, instead of what the one before had."""
        self._published = {entry.name: entry for entry in entries}
        for name in self._published:
            self._memory.pop(name, None)
        rows = [list(vars(entry).values()) for entry in self._published.values()]
        self._write(PUBLISHED, json.dumps(rows).encode())
        self._published_stamp = self._stamp_of_published()

    def note(self, entry: Entry) -> None:
        """Remember *entry*."""
        self._remember(entry)
        self._write(self._sidecar(entry.name), json.dumps(asdict(entry)).encode())

    def note_copy(
        self,
        name: str,
        remote: str,
        digests: Digests,
        found: os.stat_result,
        *,
        fingerprint: str | None = None,
        checked: float = 0,
    ) -> Entry:
        """Remember the copy of *name* whose file has the status *found*, and return what is known of it now."""
        stamp = stamp_of(found)
        entry = Entry(name, remote, digests.md5, digests.size, digests.named, fingerprint, stamp, checked)
        self.note(entry)
        return entry

    def _remember(self, entry: Entry) -> None:
        if len(self._memory) >= _REMEMBERED:
            self._memory.clear()
        self._memory[entry.name] = entry

    def _write(self, file: str, data: bytes) -> None:
        try:
            self._mirror.write_state(file, data)
        except OSError as error:
            # What is not noted is asked again. On a read-only mirror that is so by design.
            if not is_read_only_error(error):
                logger.warning("Cannot write to the index of the mirror %s: %s", self._mirror.root, error)

    def note_checked(self, entry: Entry, fingerprint: str | None) -> None:
        """Remember that the remote has just confirmed *entry*, under *fingerprint*."""
        self.note(replace(entry, fingerprint=fingerprint, checked=time.time()))

    def note_missing(self, entry: Entry) -> None:
        """Remember that the remote has just denied having *entry*."""
        self.note(replace(entry, fingerprint=None, checked=-time.time()))

    def forget(self, name: str) -> None:
        """Know nothing of *name* any more."""
        self._memory.pop(name, None)
        try:
            self._mirror.delete_state(self._sidecar(name))
        except OSError as error:
            if not is_read_only_error(error):
                raise

    def written_since(self, name: str, moment: float) -> bool:
        """Whether *name* was noted after *moment*: somebody saved or fetched it, in this process or another."""
        known = self._read(name)
        return known is not None and known.checked >= moment

    def _read(self, name: str) -> Entry | None:
        data = self._mirror.read_state(self._sidecar(name))
        if data is None:
            return None
        try:
            known = Entry(**json.loads(data))
        except (ValueError, TypeError):
            logger.warning("Ignoring the unreadable note of %r in the mirror %s.", name, self._mirror.root)
            return None
        return known if known.name == name else None

    @staticmethod
    def _sidecar(name: str) -> str:
        digest = hashlib.sha1(name.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
        return f"index/{digest[:2]}/{digest}.json"


def _speaks_of(entry: Entry, remote: str, found: os.stat_result) -> bool:
    return entry.remote == remote and entry.stamp == stamp_of(found)
