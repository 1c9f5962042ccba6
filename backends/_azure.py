"""What django-storages' AzureStorage and Azure's SDK need mended before the mirror can stand on them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobPrefix, ContentSettings
from django.core.files.base import File
from django.utils import timezone
from storages.backends.azure_storage import AzureStorage
from storages.utils import clean_name, setting

from localmirror.backends._azure_client import connect
from localmirror.backends._azure_errors import is_missing_blob
from localmirror.backends._azure_names import check_path
from localmirror.names import sibling_of
from localmirror.remote import RemoteFile, RemoteSeam

if TYPE_CHECKING:

    class _Base(RemoteSeam, AzureStorage): ...

else:
    _Base = AzureStorage


class AzureRepairs(_Base):
    """AzureStorage as Django's contract for storages would have it, below a mirror."""

    mirror_workers: int

    def _get_service_client(self) -> Any:
        return connect(self)

    @property
    def endpoint_url(self) -> str:
        """The address of the account, without the signature that the SDK appends where there is a ``sas_token``."""
        return str(self.service_client.url).partition("?")[0].rstrip("/")

    def _get_valid_path(self, name: str) -> str:
        # AzureStorage strips dots and slashes at both ends, and so stores `.well-known/x` as `well-known/x`.
        path: str = self._normalize_name(clean_name(name))
        check_path(path)
        return path

    def get_valid_name(self, name: str) -> str:
        """Return *name* as Django makes it fit for a file, without the dots at its end."""
        return super().get_valid_name(name).rstrip(".")

    def _blob(self, name: str) -> Any:
        return self.client.get_blob_client(self._get_valid_path(name))

    def _properties(self, name: str) -> Any:
        return checked(self._blob(name).get_blob_properties(timeout=self.timeout))

    def _open(self, name: str, mode: str = "rb") -> Any:
        file = super()._open(name, mode)
        if "r" in mode:
            file.file  # noqa: B018 - downloads now, so that a missing blob is missed when it is opened
        return file

    def exists(self, name: str) -> bool:
        """Whether there is a blob *name*; a missing container is an error, not an answer."""
        try:
            self._properties(name)
        except ResourceNotFoundError as error:
            if not is_missing_blob(error):
                raise
            return False
        return True

    def delete(self, name: str) -> None:
        """Delete *name*; a missing blob is no error, a missing container is."""
        try:
            self._blob(name).delete_blob(timeout=self.timeout)
        except ResourceNotFoundError as error:
            if not is_missing_blob(error):
                raise

    def size(self, name: str) -> int:
        """Return the size of *name* in bytes."""
        return int(self._properties(name).size)

    def get_modified_time(self, name: str) -> datetime:
        """Return when *name* was last modified, aware if ``USE_TZ``."""
        return _moment(self._properties(name).last_modified)

    def get_created_time(self, name: str) -> datetime:
        """Return when *name* was created, aware if ``USE_TZ``."""
        return _moment(self._properties(name).creation_time)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the directories and files in *path*, named relative to it."""
        base = f"{self._get_valid_path(path).rstrip('/')}/" if path else self._normalize_name("")
        found = self.client.walk_blobs(
            name_starts_with=base or None, delimiter="/", include=["metadata"], timeout=self.timeout
        )
        items = list(found)
        directories = [item.name[len(base) : -1] for item in items if isinstance(item, BlobPrefix)]
        files = [item.name[len(base) :] for item in items if not isinstance(item, BlobPrefix) and is_file(item)]
        return directories, files

    def list_files(self, prefix: str) -> Iterator[Any]:
        """Iterate over the properties of all blobs whose path begins with *prefix*: one request for 5,000."""
        found = self.client.list_blobs(
            name_starts_with=prefix or None, include=["metadata"], results_per_page=5000, timeout=self.timeout
        )
        return (item for item in found if is_file(item))

    def send(self, name: str, file: File[bytes], settings: ContentSettings, **condition: Any) -> str:
        """Store *file* as *name*, whatever is there, and return its ETag; in blocks if it is larger than 8 MB."""
        how = {"overwrite": True, "max_concurrency": self.upload_max_conn, "timeout": self.timeout, **condition}
        answer = self._blob(name).upload_blob(file, length=file.size, content_settings=settings, **how)
        return str(answer["etag"]).strip('"')

    def is_stored_plain(self, name: str) -> bool:
        """Whether uploading *name* leaves it without a Content-Encoding; what has one was put there by others."""
        settings = self._get_content_settings_parameters(self._get_valid_path(name))
        return not settings["content_encoding"] and not sibling_of(name)


def _moment(told: datetime) -> datetime:
    return told if setting("USE_TZ") else timezone.make_naive(told)


def _is_directory(blob: Any) -> bool:
    """Whether *blob* stands for a directory, as hierarchical accounts have them."""
    return any(f"{key}={value}".lower() == "hdi_isfolder=true" for key, value in (blob.metadata or {}).items())


def is_file(blob: Any) -> bool:
    """Whether *blob*, as listed with its metadata, is no stand-in for a directory."""
    return not blob.name.endswith("/") and not _is_directory(blob)


def checked(blob: Any) -> Any:
    """Return *blob*, whose properties are known. Raises ResourceNotFoundError for a directory."""
    if _is_directory(blob):
        raise ResourceNotFoundError(f"{blob.name!r} is a directory.")
    return blob


def remote_file(name: str, blob: Any) -> RemoteFile:
    """Return what the service told of *blob*: its answers quote the ETag, its listings do not."""
    md5 = blob.content_settings.content_md5
    return RemoteFile(name, blob.size, md5.hex() if md5 else None, blob.last_modified, blob.etag.strip('"'))
