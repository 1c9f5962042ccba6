"""The bulk engine over obstore, which the S3, Google Cloud and Azure adapters share.

It moves files several times as fast as the providers' SDKs and must leave the very objects that the storage's own
``_save`` would: whatever an adapter cannot express in obstore's words goes the storage's way, file by file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import obstore
from django.core.files.base import File

from localmirror.backends._engines import Unfit
from localmirror.backends._flight import Flight, pieces, whole
from localmirror.backends._obstore_adapter import ObstoreAdapter
from localmirror.backends._obstore_words import plain
from localmirror.remote import Engine, RemoteFile, RemoteSeam, Uploaded

#: Bytes that all threads together hold in memory to send them.
BYTES_IN_FLIGHT = 16 << 20
#: Parts of one file that are sent at the same time.
PARTS_AT_ONCE = 2
#: Seconds that sending may take beyond what an SDK would wait for an answer. obstore counts from the first byte of a
#: request, the SDKs from the last one; meanwhile all bytes in flight may have to pass a line of 1 Mbit/s, twice as many
#: where a large file goes alone.
SENDING_SECONDS = 2 * BYTES_IN_FLIGHT // 125_000


class ObstoreEngine(ObstoreAdapter):
    """Listing, uploading and deleting through obstore."""

    def __init__(self, storage: RemoteSeam) -> None:
        super().__init__(storage)
        self._flight = Flight(BYTES_IN_FLIGHT)

    def remote_files(self, prefix: str = "", after: str = "") -> Iterator[RemoteFile]:
        """Iterate over what the remote has; with the SDK where obstore gives up."""
        last = after
        try:
            for entry in self._entries(prefix, after):
                last = entry["path"][len(self.key("")) :]
                file = self.listed(last, entry)
                # What obstore calls `css` may be `css/`, the marker of a directory.
                is_clear = file.size or "." in last.rpartition("/")[2]
                yield file if is_clear else replace(file, doubtful=True)
        except Unfit as reason:
            self.remark("lists what it has", reason)
            yield from super().remote_files(prefix, last)

    def _entries(self, prefix: str, after: str) -> Iterator[Any]:
        base = self.key("")
        directory = (base + prefix).rstrip("/")
        below, behind = plain(directory) if directory else None, plain(base + after) if after else None
        pages = obstore.list(self.store(), below, offset=behind, chunk_size=1000)
        while (page := self.asked(lambda: next(pages, None))) is not None:
            yield from page

    def upload(self, name: str, file: File[bytes], *, immutable: bool) -> Uploaded:
        """Send *file* as *name*: the object that the storage's own ``_save`` writes."""
        in_parts = file.size >= self.multipart_from
        try:
            key = plain(self.key(name))
            attributes = self.attributes(name, file, immutable=immutable)
            with self._flight.of(self.part_size * (PARTS_AT_ONCE + 1) if in_parts else file.size):
                file.seek(0)
                body: Any = self.encoded(name, file, attributes)
                if body is None:
                    body = pieces(file) if in_parts else whole(file)
                answer = self._put(key, body, attributes, in_parts=in_parts)
        except Unfit as reason:
            self.remark("sends some files", reason)
            file.seek(0)
            return super().upload(name, file, immutable=immutable)
        return Uploaded(name, self.version(answer))

    def _put(self, key: str, body: Any, attributes: dict[str, str], *, in_parts: bool) -> Any:
        store = self.store(sending=True)
        return self.asked(
            lambda: obstore.put(
                store,
                key,
                body,
                attributes=attributes,
                use_multipart=in_parts,
                chunk_size=self.part_size,
                max_concurrency=PARTS_AT_ONCE,
            )
        )

    def delete_many(self, names: Iterable[str]) -> None:
        """Delete *names* from the remote; a missing one is no error."""
        names = list(names)
        try:
            keys = [plain(self.key(name)) for name in names]
            store = self.store()
            self.asked(lambda: obstore.delete(store, keys))
        except Unfit as reason:
            self.remark("deletes", reason)
            super().delete_many(names)


class ObstoreUploads(ObstoreEngine):
    """Uploading alone through obstore, where the provider's SDK lists and deletes as fast, and tells more."""

    remote_files = Engine.remote_files
    delete_many = Engine.delete_many

    _store: Any

    def store(self, *, sending: bool = False) -> Any:
        return self._store

    def require_one_piece(self, file: File[bytes]) -> None:
        """Raise Unfit if *file* would go in parts, of which the service keeps no MD5 for the next listing to tell."""
        if file.size >= self.multipart_from:
            raise Unfit("the service keeps no MD5 of what obstore sends in parts")
