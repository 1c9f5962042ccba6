"""The output of one run of a compressor: staged in the mirror, then published with one listing of its directory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from localmirror.content import SpooledContent
from localmirror.exceptions import PublishError
from localmirror.index import Entry, stamp_of
from localmirror.local import Spool
from localmirror.names import Digests, digests_of_file
from localmirror.publish import Result
from localmirror.release import ReleaseFile
from localmirror.remote import RemoteFile, Uploaded
from localmirror.transfer import Outcome, Transfers

if TYPE_CHECKING:
    from localmirror.compressed import CompressorMirrorMixin

# What is noted of a file that no remote is known to have.
_NO_REMOTE = ""


class StagedOutput:
    """The files that were saved during one `CompressorMirrorMixin.staging_output`, in the mirror alone."""

    def __init__(self, storage: CompressorMirrorMixin) -> None:
        self.storage = storage
        self.files: dict[str, ReleaseFile] = {}
        self._lock = threading.Lock()

    def save(self, name: str, spool: Spool, digests: Digests) -> None:
        """Put the spooled file in place in the mirror, unless the mirror holds these very bytes already."""
        mirror = self.storage.mirror
        with mirror.lock(name):
            if not self._holds(name, digests):
                mirror.check_writable(name)
                path = mirror.place(spool, name)
                # Noted, so that a collectstatic that watches the directory at this moment leaves it out.
                self.storage.index.note_copy(name, _NO_REMOTE, digests, os.stat(path), checked=time.time())
            stamp = stamp_of(os.stat(mirror.path(name)))
        with self._lock:
            self.files[name] = ReleaseFile(name, digests.size, digests.md5, digests.named, False, stamp)

    def _holds(self, name: str, digests: Digests) -> bool:
        found = self.storage.mirror.find(name)
        path = self.storage.mirror.path(name)
        if found is None or found.st_size != digests.size or os.path.islink(path):
            return False
        return self.storage.holds(name, digests) or digests_of_file(name, path).md5 == digests.md5

    # -- publishing ----------------------------------------------------------------------------------------------

    def publish(self) -> Iterator[Result]:
        """Upload what the remote lacks, yielding what became of each file. A file that fails does not stop the others.

        Raises PublishError if the remote cannot be listed.
        """
        there = self._listing()
        missing = []
        for file in self.files.values():
            found = there.get(file.name)
            if found is not None and self._is_current(file, found):
                if not self.storage.is_remote_copy(file.name):
                    self._note(file, found.fingerprint)
                yield Result(file.name, "current", file.size)
            else:
                missing.append(file)
        transfers = Transfers(self.storage.mirror_workers, self._upload, self.storage.is_fatal)
        try:
            for file in missing:
                transfers.submit(file)
            for outcome in transfers.outcomes():
                yield self._result(outcome)
        finally:
            transfers.stop()

    def _listing(self) -> dict[str, RemoteFile]:
        storage = self.storage
        try:
            return {f.name: f for f in storage.remote_files(storage.output_prefix) if f.name in self.files}
        except Exception as error:
            raise PublishError(
                f"Cannot list what is in {storage.describe_remote()}: {storage.describe_error(error)}"
            ) from error

    def _is_current(self, file: ReleaseFile, there: RemoteFile) -> bool:
        if self.storage.encodes(file.name):
            return file.immutable
        return there.size == file.size and (file.immutable or there.md5 == file.md5)

    def _upload(self, file: ReleaseFile) -> Uploaded:
        path = self.storage.mirror.path(file.name)
        with open(path, "rb") as opened:
            content = SpooledContent(opened, file.name, path, file.size)
            return self.storage.upload(file.name, content, immutable=file.immutable)

    def _result(self, outcome: Outcome) -> Result:
        file = outcome.file
        if outcome.error is not None:
            self.storage.distrust(file.name)
            return Result(file.name, "failed", file.size, self.storage.describe_error(outcome.error))
        if outcome.uploaded is None:
            return Result(file.name, "not attempted", file.size, "not attempted")
        self._note(file, outcome.uploaded.etag)
        return Result(file.name, "uploaded", file.size)

    def _note(self, file: ReleaseFile, fingerprint: str | None) -> None:
        remote, now = self.storage.remote_identity(), time.time()
        self.storage.index.note(
            Entry(file.name, remote, file.md5, file.size, file.immutable, fingerprint, file.stamp, now)
        )
