"""Publishing: bringing the remote up to a release, the manifest last. Yields results and prints nothing."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, Literal

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile

from localmirror import signals
from localmirror.content import SpooledContent
from localmirror.exceptions import ChangedSinceStagedError, PublishError
from localmirror.index import Entry, stamp_of
from localmirror.inventory import Inventory
from localmirror.live import go_live
from localmirror.names import RESERVED, sibling_of
from localmirror.release import Record, Release, ReleaseFile, with_etag
from localmirror.remote import Engine, RemoteFile, Uploaded, renamed_error
from localmirror.transfer import Outcome, Transfers

if TYPE_CHECKING:
    from localmirror.roles import StaticMirrorMixin

logger = logging.getLogger("localmirror")

# Up to this size a file is read in one piece, so that its digest is checked on the very bytes that are sent.
_WHOLE_FILE = 1 << 18

Status = Literal["uploaded", "current", "failed", "not attempted", "pending"]
ManifestStatus = Literal["uploaded", "current", "kept"]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one name. *size* is in bytes; ``pending`` is what a dry run would upload."""

    name: str
    status: Status
    size: int
    error: str | None = None


class Publish:
    """One publish over one storage.

    Iterate over `results`; what came of the manifest is in `manifest` afterwards, and `succeeded` tells whether the
    release is live. *everything* uploads also what the remote has already; *dry_run* only finds out.

    A staging that is still going on may `begin` before the release is known, and `offer` files whose bytes are final:
    those that the remote lacks go up at once, all others wait for `results`.
    """

    def __init__(self, storage: StaticMirrorMixin, *, everything: bool = False, dry_run: bool = False) -> None:
        self.storage = storage
        self.everything = everything
        self.dry_run = dry_run
        self._mirror = storage.mirror
        self.succeeded = False
        self.interrupted = False
        self.manifest: ManifestStatus | None = None
        self.release = Release({})
        self.remote: dict[str, RemoteFile] = {}
        self.public: dict[str, ReleaseFile] = {}
        self._etags: dict[str, tuple[str, str]] | None = None
        self._offered: list[ReleaseFile] = []
        self._confirmed: set[str] = set()
        self._engine: Engine | None = None
        self._inventory = self._unlisted()
        self._transfers = Transfers(storage.mirror_workers, self.upload_file, storage.is_fatal)
        self._begun = False

    def _unlisted(self) -> Inventory:
        return Inventory(
            lambda begin: self.engine().remote_files(after=begin),
            can_jump=self.storage.listing_is_sorted,
            misread=self._misread,
        )

    def _misread(self) -> Iterable[str]:
        """Return the names of which the listing cannot be believed; a mirror that has published knows them itself."""
        return () if self._noted_here() else self.engine().misread()

    # -- while staging goes on -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Find out in the background what the remote has."""
        if not self._begun:
            self._begun = True
            self._inventory.start()

    def narrow(self, originals: Iterable[str]) -> None:
        """Tell which names the files of the release come from; see `Inventory.narrow`."""
        known = self.storage.index.published().keys()
        self._inventory.narrow({*originals, *known, *filter(None, [getattr(self.storage, "manifest_name", None)])})

    def wants(self, name: str) -> bool:
        """Whether offering *name* may be of use: whether it is not known yet that the remote has it."""
        return not self._inventory.is_complete or name not in self.remote

    def offer(self, file: ReleaseFile) -> None:
        """Send *file* now if the remote lacks its name, which no page can know then; else it waits.

        So does what looks like a compressed sibling: how it is served depends on whether the release has its file.
        """
        if sibling_of(file.name) is None:
            self._offered.append(file)
        if self._inventory.is_complete:
            self._send_offered()

    def _send_offered(self) -> None:
        try:
            self.remote = self._inventory.wait()
        except Exception:  # `results` meets the same error, and reports it
            self._offered.clear()
            return
        offered, self._offered = self._offered, []
        for file in offered:
            lacking = self._inventory.speaks_of(file.name) and file.name not in self.remote
            if lacking and not self._transfers.has(file):
                self._transfers.submit(file)

    def abandon(self) -> None:
        """Send nothing more: the release that was being staged will not be."""
        self._inventory.cancel()
        self._transfers.stop()
        self._close_engine()

    def sent(self) -> list[Result]:
        """Return, after `abandon`, what became of the files that were offered."""
        ended = self._transfers.rest(())
        return [
            Result(o.file.name, "uploaded", o.file.size) if o.uploaded is not None else self._result(o) for o in ended
        ]

    # -- when the release is known -------------------------------------------------------------------------------

    def results(self, release: Release) -> Iterator[Result]:
        """Publish *release*, yielding what became of each public name.

        Raises PublishError if the remote cannot be listed, or if the release cannot be made live although all its
        files are there. Files that fail do not raise: they are yielded, and the manifest is held back.
        """
        self.release = release
        self.manifest = None if release.manifest is None else "kept"
        self.public = {f.name: f for f in release.public(self.storage.mirror_publish)}
        self._inventory.settle({*release.files, release.manifest_name or RESERVED})
        self.begin()
        try:
            yield from self._publish()
        except BaseException:
            self.abandon()
            raise
        self._transfers.close()
        self._close_engine()
        if not self.dry_run:
            self._remember()
        if self.succeeded:
            tell = getattr(self.storage, "release_went_live", None)
            try:
                if tell is not None:
                    tell(release)
            finally:
                signals.release_published.send(type(self.storage), storage=self.storage, release=release)

    def _publish(self) -> Iterator[Result]:
        self._list()
        current = [f for f in self.public.values() if not self._transfers.has(f) and self._is_current(f)]
        for file in current:
            self.public[file.name] = with_etag(file, self.remote[file.name].fingerprint)
            yield Result(file.name, "current", file.size)
        self._confirmed.update(file.name for file in current)
        pending = [file for file in self.public.values() if file.name not in self._confirmed]
        if self.dry_run:
            yield from (Result(file.name, "pending", file.size) for file in pending)
            return
        failures = 0
        for result in self._transfer(pending):
            if result.status == "uploaded":
                self._confirmed.add(result.name)
            else:
                failures += 1
            yield result
        if not failures and not self.interrupted:
            self.manifest = go_live(self, changed=bool(pending))
            self.succeeded = True

    def engine(self) -> Engine:
        """Return what files are moved with."""
        if self._engine is None:
            storage = self.storage
            self._engine = storage.bulk_engine() if storage.mirror_engine == "auto" else Engine(storage)
        return self._engine

    @property
    def remarks(self) -> list[str]:
        """What somebody who wants details should know of how files were moved."""
        return self._engine.remarks if self._engine else []

    def _close_engine(self) -> None:
        if self._engine is not None:
            self._engine.close()

    def _list(self) -> None:
        try:
            self.remote = self._inventory.wait()
            for name in self.release.files.keys() | {self.release.manifest_name or RESERVED}:
                if not self._inventory.speaks_of(name) and (there := self.storage.remote_file(name)):
                    self.remote[name] = there
        except Exception as error:
            raise PublishError(
                f"Cannot list what is in {self.storage.describe_remote()}: {self.storage.describe_error(error)}"
            ) from error

    def disturbed(self) -> Iterator[str]:
        """List once more, and yield the public names that are not what this publish has left there."""
        inventory = self._unlisted()
        inventory.settle(self.public)
        inventory.start()
        self.remote = inventory.wait()
        for file in filter(lambda file: inventory.speaks_of(file.name), self.public.values()):
            there = self.remote.get(file.name)
            if there is None or not (there.fingerprint == file.etag or self._is_current(file)):
                yield file.name

    # -- what the remote has already -----------------------------------------------------------------------------

    def _is_current(self, file: ReleaseFile) -> bool:
        there = self.remote.get(file.name)
        if there is None or self.everything:
            return False
        if there.size == file.size and there.md5 == file.md5:
            return True
        encodes = self.storage.encodes(file.name)
        if not encodes and (there.size != file.size or file.immutable):
            return there.size == file.size
        if there.fingerprint and self._noted_etags().get(file.name) == (file.md5, there.fingerprint):
            return True
        if not encodes or there.md5 is None:
            return False
        try:
            with open(self.storage.mirror.path(file.name), "rb") as opened:
                content = SpooledContent(opened, file.name, opened.name, file.size)
                return self.storage.encoded_md5(file.name, content) == there.md5
        except (OSError, SuspiciousFileOperation):  # which uploading it will meet too, and report
            return False

    def _noted_etags(self) -> dict[str, tuple[str, str]]:
        """Return digest and ETag by name, as the last publish noted them: from this mirror, else from the remote."""
        if self._etags is None:
            known = [entry for entry in self._noted_here() if entry.fingerprint]
            self._etags = {e.name: (e.md5, str(e.fingerprint)) for e in known} or self._recorded_etags()
        return self._etags

    def _noted_here(self) -> list[Entry]:
        identity = self.storage.remote_identity()
        return [entry for entry in self.storage.index.published().values() if entry.remote == identity]

    def _recorded_etags(self) -> dict[str, tuple[str, str]]:
        record = self._last_record
        return {name: (md5, etag) for name, (_, md5, etag) in record.files.items() if etag} if record else {}

    @cached_property
    def _last_record(self) -> Record | None:
        """The record of the last release, None if there is none that can be read."""
        records = [f for f in self.remote.values() if f.name.endswith("/record.json") and f.modified]
        if not records:
            return None
        newest = max(records, key=lambda f: (f.modified is not None and f.modified.timestamp(), f.name))
        buffer = io.BytesIO()
        try:
            self.storage.download(newest.name, buffer)
            return Record.from_bytes(buffer.getvalue())
        except Exception as error:
            # It would have spared some uploads, no more than that.
            logger.warning("Cannot read the record %r: %s", newest.name, self.storage.describe_error(error))
            return None

    # -- sending -------------------------------------------------------------------------------------------------

    def _transfer(self, files: list[ReleaseFile]) -> Iterator[Result]:
        self._transfers.drop(keep=files)
        for file in files:
            if not self._transfers.has(file):
                self._transfers.submit(file)
        told = set()
        try:
            for outcome in self._transfers.outcomes():
                told.add(outcome.file.name)
                yield self._result(outcome)
        except KeyboardInterrupt:
            self.interrupted = True
            self._transfers.stop()
            yield from map(self._result, self._transfers.rest(told))

    def _result(self, outcome: Outcome) -> Result:
        file = outcome.file
        if outcome.error is not None:
            return Result(file.name, "failed", file.size, self.storage.describe_error(outcome.error))
        if outcome.uploaded is None:
            return Result(file.name, "not attempted", file.size, "not attempted")
        self.public[file.name] = with_etag(self.public[file.name], outcome.uploaded.etag)
        return Result(file.name, "uploaded", file.size)

    def upload_file(self, file: ReleaseFile) -> Uploaded:
        """Send one file of the release, having made sure that it is still what was staged."""
        with self._content(file) as content:
            encoded = self.release.content_headers(file.name)
            if encoded:
                content.stand_for(*encoded)
            base = self.release.files[encoded[0]] if encoded else file
            uploaded = self.engine().upload(file.name, content, immutable=base.immutable)
        if uploaded.name != file.name:
            self.storage.delete_many([uploaded.name])
            raise renamed_error(self.storage, file.name, uploaded.name)
        if uploaded.etag is None and not self.storage.listing_tells_content:
            told = self.storage.remote_file(file.name)
            return Uploaded(file.name, told.fingerprint if told else None)
        return uploaded

    def _content(self, file: ReleaseFile) -> SpooledContent:
        """Return what is to be sent: in memory if it is small, so that no file stays open while it travels."""
        path = self._mirror.path(file.name)
        small = file.size <= _WHOLE_FILE
        opened = open(path, "rb", buffering=0 if small else -1)  # noqa: SIM115 - closed by whoever sends it
        try:
            source: IO[bytes] = io.BytesIO(opened.read(file.size + 1)) if small else opened
            if stamp_of(os.fstat(opened.fileno())) != file.stamp:  # staged on another machine, or changed since
                self._check_digest(file, path, source)
        except BaseException:
            opened.close()
            raise
        if small:
            opened.close()
        return SpooledContent(source, file.name, path, file.size)

    @staticmethod
    def _check_digest(file: ReleaseFile, path: str, source: IO[bytes]) -> None:
        md5 = hashlib.md5(usedforsecurity=False)
        while chunk := source.read(_WHOLE_FILE):
            md5.update(chunk)
        source.seek(0)
        if md5.hexdigest() != file.md5:
            raise ChangedSinceStagedError(
                f"{path} has changed since it was staged (MD5 {md5.hexdigest()}, staged {file.md5}): collect again."
            )

    def upload_bytes(self, name: str, data: bytes) -> Uploaded:
        """Send one of localmirror's own files."""
        return self.storage.upload(name, ContentFile(data, name), immutable=False)

    # -- afterwards ----------------------------------------------------------------------------------------------

    def _remember(self) -> None:
        """Note what the remote has been seen to have, also where other files have failed."""
        now = time.time()
        identity = self.storage.remote_identity()
        self.storage.index.note_published(
            Entry(f.name, identity, f.md5, f.size, f.immutable, f.etag, f.stamp, now)
            for f in self.public.values()
            if f.name in self._confirmed
        )


def report(
    publish: Publish, results: Iterable[Result], *, alias: str, seconds: float, deleted: int = 0
) -> dict[str, Any]:
    """Return what a publish did, as ``--report`` writes it: counts are numbers of names, sizes are in bytes.

    What a dry run would upload counts as uploaded.
    """
    rows = list(results)
    uploaded = [r for r in rows if r.status in ("uploaded", "pending")]
    return {
        "alias": alias,
        "staged": len(publish.release.files),
        "uploaded": len(uploaded),
        "current": sum(r.status == "current" for r in rows),
        "deleted": deleted,
        "failed": [{"name": r.name, "error": r.error} for r in rows if r.status in ("failed", "not attempted")],
        "bytes_uploaded": sum(r.size for r in uploaded),
        # A release that was staged without one leaves the manifest as it is.
        "manifest": publish.manifest or ("kept" if hasattr(publish.storage, "manifest_name") else None),
        "release": publish.release.id,
        "seconds": round(seconds, 3),
    }
