"""Azure Blob Storage, through the storage of django-storages."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import IO, TYPE_CHECKING, Any, ClassVar

from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.core.checks import CheckMessage
from django.core.files.base import File

from localmirror.backends._announced import AnnouncedParameters
from localmirror.backends._engines import fitting_engine
from localmirror.backends._extras import needs_extra
from localmirror.backends._new_names import NewNames
from localmirror.content import CHUNK_SIZE
from localmirror.hashing import CachedFilesMixin
from localmirror.remote import Engine, Headers, RemoteFile, Uploaded
from localmirror.roles import CompressorMirrorMixin, StaticMirrorMixin

with needs_extra("azure"):
    from azure.core import MatchConditions
    from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
    from azure.storage.blob import ContentSettings

    from localmirror.backends._azure import AzureRepairs, checked, remote_file
    from localmirror.backends._azure_checks import check_signatures
    from localmirror.backends._azure_errors import AzureErrors, is_lost_race
    from localmirror.backends._azure_static import AzureStaticStorage

_BATCH = 256  # https://learn.microsoft.com/rest/api/storageservices/blob-batch


if TYPE_CHECKING:

    class _Base(AzureErrors, AzureRepairs): ...

else:
    _Base = AzureErrors


class AzureMirrorMixin(_Base, NewNames, AnnouncedParameters):
    """LocalMirrorMixin for the AzureStorage of django-storages: exact, and in fewer requests."""

    repairs = AzureRepairs
    header_names: ClassVar[Mapping[str, str]] = {name: name for name in Headers.__slots__}
    identity_attributes: ClassVar[tuple[str, ...]] = ("endpoint_url", "azure_container", "location")
    required_attributes: ClassVar[tuple[str, ...]] = ("azure_container",)
    connection_attributes: ClassVar[tuple[str, ...]] = ("_service_client", "_client", "_user_delegation_key")
    listing_tells_content: bool = True
    listing_is_flat: bool = True
    carries_headers: bool = True
    writes_on_condition: bool = True

    def remote_files(self, prefix: str = "", after: str = "") -> Iterator[RemoteFile]:
        """Iterate over the flat listing below *prefix*: one request for 5,000 blobs."""
        base = self._normalize_name("")
        return (remote_file(blob.name[len(base) :], blob) for blob in self.list_files(base + prefix))

    def remote_file(self, name: str) -> RemoteFile | None:
        """Return what the service says of *name*, None for a 404."""
        try:
            return remote_file(name, self._properties(name))
        except ResourceNotFoundError as error:
            if not self.is_missing(error):
                raise
            return None

    def upload(self, name: str, file: File[bytes], *, immutable: bool) -> Uploaded:
        """Send *file* in one request, or in blocks straight from disk if it is larger than 8 MB."""
        if not self.is_new_name:
            return self._put(name, file, immutable=immutable)
        put = partial(self._put, file=file, immutable=immutable, match_condition=MatchConditions.IfMissing)
        return self.sent_as_new(name, put, is_lost_race)

    @property
    def keeps_what_is_there(self) -> bool:
        """Whether ``save`` replaces nothing; roles other than media have just their own names."""
        return self.role == "media" and not self.overwrite_files

    def _put(self, name: str, file: File[bytes], *, immutable: bool, **condition: Any) -> Uploaded:
        with self.announced(self.headers_for(file, immutable=immutable)):
            settings = ContentSettings(**self._get_content_settings_parameters(self._get_valid_path(name), file))
        # By itself Azure keeps an MD5 only of what comes in one request; the one it is given is what its listing tells.
        settings.content_md5 = bytearray.fromhex(self.encoded_md5(name, file))
        file.seek(0)
        return Uploaded(name, self.send(name, file, settings, **condition))

    def upload_manifest(self, name: str, file: File[bytes], *, seen: RemoteFile | None) -> Uploaded:
        """Send the manifest on the condition that its ETag is the one that was *seen*."""
        unchanged = {"match_condition": MatchConditions.IfNotModified, "etag": seen and f'"{seen.etag}"'}
        condition: dict[str, Any] = unchanged if seen else {"match_condition": MatchConditions.IfMissing}
        try:
            return self._put(name, file, immutable=False, **condition)
        except HttpResponseError as error:
            if not is_lost_race(error):
                raise
            return self.settle_conflict(name, file, error)

    def download(self, name: str, target: IO[bytes]) -> RemoteFile | None:
        """Write the content of *name* to *target*: one GET, or one for each 8 MB of a larger file."""
        body = self._blob(name).download_blob(decompress=False, max_concurrency=1, timeout=self.timeout)
        if body.properties.content_settings.content_encoding == "gzip" and self.is_stored_plain(name):
            shutil.copyfileobj(gzip.GzipFile(fileobj=body), target, CHUNK_SIZE)
        else:
            for chunk in body.chunks():
                target.write(chunk)
        return remote_file(name, checked(body.properties))

    def delete_many(self, names: Iterable[str]) -> None:
        """Delete *names*, 256 in a request."""
        paths = [self._get_valid_path(name) for name in names]
        for start in range(0, len(paths), _BATCH):
            batch = paths[start : start + _BATCH]
            answers = self.client.delete_blobs(*batch, raise_on_any_failure=False, timeout=self.timeout)
            for path, answer in zip(batch, answers, strict=True):
                if answer.status_code not in (202, 404):
                    raise OSError(f"Cannot delete {path!r}: {answer.status_code} {answer.reason}")

    def bulk_engine(self) -> Engine:
        """Return the engine over obstore, or the storage's own way where obstore cannot do just what it does."""
        return fitting_engine(self, "localmirror.backends._obstore_azure")

    @classmethod
    def mirror_checks(cls, alias: str, options: dict[str, Any]) -> Iterator[CheckMessage]:
        """Return what is wrong with ``STORAGES[alias]`` in ways that only Azure's storage knows."""
        return check_signatures(cls, alias, options)


class MirroredAzureStorage(AzureMirrorMixin, AzureRepairs):
    """Media on Azure, with a mirror."""


class MirroredAzureStaticStorage(StaticMirrorMixin, AzureMirrorMixin, AzureStaticStorage):
    """Static files on Azure under their own names, with a mirror."""


class MirroredAzureManifestStaticStorage(ManifestFilesMixin, MirroredAzureStaticStorage):  # type: ignore[misc]
    """Static files on Azure under hashed names that a manifest lists, with a mirror."""


class MirroredAzureCachedStaticStorage(CachedFilesMixin, MirroredAzureStaticStorage):  # type: ignore[misc]
    """The same with the hashed names in Django's cache."""


class MirroredAzureCompressorStorage(CompressorMirrorMixin, AzureMirrorMixin, AzureStaticStorage):
    """The output of django-compressor on Azure, with a mirror."""
