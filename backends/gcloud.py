"""Google Cloud Storage, through the storage of django-storages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, ClassVar

from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.core.files.base import File

from localmirror.backends._announced import AnnouncedParameters
from localmirror.backends._engines import fitting_engine
from localmirror.backends._extras import needs_extra
from localmirror.backends._gzip import packed_if, unpack
from localmirror.hashing import CachedFilesMixin
from localmirror.names import sibling_of
from localmirror.remote import Engine, Headers, RemoteFile, Uploaded
from localmirror.roles import CompressorMirrorMixin, StaticMirrorMixin

with needs_extra("gcs"):
    from google.api_core.exceptions import GoogleAPICallError, PreconditionFailed

    from localmirror.backends import _gcloud
    from localmirror.backends._gcloud import GoogleCloudRepairs, GoogleCloudStaticStorage
    from localmirror.backends._gcloud_errors import GoogleCloudErrors

# Google's own limit: https://cloud.google.com/storage/docs/batch
_BATCH = 100


if TYPE_CHECKING:

    class _Base(GoogleCloudErrors, GoogleCloudRepairs): ...

else:
    _Base = GoogleCloudErrors


class GoogleCloudMirrorMixin(_Base, AnnouncedParameters):
    """LocalMirrorMixin for the GoogleCloudStorage of django-storages: exact, and in fewer requests."""

    repairs = GoogleCloudRepairs
    header_names: ClassVar[Mapping[str, str]] = {name: name for name in Headers.__slots__}
    identity_attributes: ClassVar[tuple[str, ...]] = ("endpoint_url", "bucket_name", "location")
    required_attributes: ClassVar[tuple[str, ...]] = ("bucket_name",)
    connection_attributes: ClassVar[tuple[str, ...]] = ("_client", "_bucket")
    listing_tells_content: bool = True
    listing_is_sorted: ClassVar[bool] = True
    listing_is_flat: bool = True
    carries_headers: bool = True
    writes_on_condition: bool = True

    def remote_files(self, prefix: str = "", after: str = "") -> Iterator[RemoteFile]:
        """Iterate over the flat listing below *prefix*, behind the name *after*: one request for 1,000 objects."""
        base = self._normalize_name("")
        start = base + after if after else None
        blobs = self.bucket.list_blobs(
            prefix=base + prefix, start_offset=start, fields=_gcloud.LISTED, **_gcloud.READING
        )
        for blob in blobs:
            if not blob.name.endswith("/") and blob.name != start:
                yield _gcloud.remote_file(blob.name[len(base) :], blob)

    def remote_file(self, name: str) -> RemoteFile | None:
        """Return what the service says of *name*, None for a 404."""
        try:
            return _gcloud.remote_file(name, self._get_blob(self._normalize_name(name)))
        except FileNotFoundError:
            return None

    def upload(self, name: str, file: File[bytes], *, immutable: bool) -> Uploaded:
        """Send *file* in one request, or in pieces straight from disk if it is larger than 8 MB."""
        return self._put(name, file, immutable=immutable)

    def _put(self, name: str, file: File[bytes], *, immutable: bool, **condition: int) -> Uploaded:
        key = self._normalize_name(name)
        with self.announced(self.headers_for(file, immutable=immutable)):
            properties = self.stored_as(key, file)
        return Uploaded(name, self.send(key, file, properties, packed=self.packs(name), **condition))

    def upload_manifest(self, name: str, file: File[bytes], *, seen: RemoteFile | None) -> Uploaded:
        """Send the manifest on the condition that its generation is the one that was *seen*."""
        generation = int(seen.etag or 0) if seen else 0
        try:
            return self._put(name, file, immutable=False, if_generation_match=generation)
        except PreconditionFailed as error:
            return self.settle_conflict(name, file, error)

    def download(self, name: str, target: IO[bytes]) -> RemoteFile | None:
        """Write the decoded content of *name* to *target*, which can be read too, in one GET."""
        blob = self.bucket.blob(self._normalize_name(name))
        start = target.tell()
        blob.download_to_file(target, raw_download=True, **_gcloud.READING)
        told = _gcloud.remote_file(name, blob, size=target.tell() - start)
        if blob.content_encoding == "gzip" and self.packs(name, whatever_is_set=True):
            unpack(target, start)
        return told

    def encodes(self, name: str) -> bool:
        """Whether ``gzip`` compresses *name*."""
        return self.packs(name)

    def packs(self, name: str, *, whatever_is_set: bool = False) -> bool:
        """Whether ``gzip`` compresses *name*, or would if it were on."""
        stored = self.stored_as(self._normalize_name(name))
        wanted = whatever_is_set or (self.gzip and stored["content_type"] in self.gzip_content_types)
        return bool(wanted and not stored["content_encoding"] and not sibling_of(name))

    def encoded_md5(self, name: str, file: File[bytes]) -> str:
        """Return the MD5 of the body as it is stored."""
        with packed_if(self.packs(name), file) as body:
            return super().encoded_md5(name, body)

    def delete_many(self, names: Iterable[str]) -> None:
        """Delete *names*, 100 in a request."""
        left = list(names)
        while left:
            batch, left = left[:_BATCH], left[_BATCH:]
            try:
                with self.client.batch():
                    for name in batch:
                        self.bucket.delete_blob(self._normalize_name(name))
            except GoogleAPICallError:  # one of them: asked singly, what is missing is passed over and the rest told
                super().delete_many(batch)

    def bulk_engine(self) -> Engine:
        """Return the engine over obstore, or the storage's own way where obstore cannot do just what it does."""
        return fitting_engine(self, "localmirror.backends._obstore_gcs")


class MirroredGoogleCloudStorage(GoogleCloudMirrorMixin, GoogleCloudRepairs):
    """Media on Google Cloud Storage, with a mirror."""


class MirroredGoogleCloudStaticStorage(StaticMirrorMixin, GoogleCloudMirrorMixin, GoogleCloudStaticStorage):
    """Static files on Google Cloud Storage under their own names, with a mirror."""


class MirroredGoogleCloudManifestStaticStorage(ManifestFilesMixin, MirroredGoogleCloudStaticStorage):  # type: ignore[misc]
    """Static files on Google Cloud Storage under hashed names that a manifest lists, with a mirror."""


class MirroredGoogleCloudCachedStaticStorage(CachedFilesMixin, MirroredGoogleCloudStaticStorage):  # type: ignore[misc]
    """The same with the hashed names in Django's cache."""


class MirroredGoogleCloudCompressorStorage(CompressorMirrorMixin, GoogleCloudMirrorMixin, GoogleCloudStaticStorage):
    """The output of django-compressor on Google Cloud Storage, with a mirror."""
