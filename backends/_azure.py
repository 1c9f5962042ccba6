"""What django-storages' AzureStorage and Azure's SDK need mended before the mirror can stand on them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from azure.core import exceptions as azure
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobPrefix, BlobServiceClient, ContentSettings
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import File
from django.utils import timezone
from storages.backends.azure_storage import AzureStorage
from storages.utils import clean_name, setting

from localmirror.backends._http import widen_pool
from localmirror.names import first_line, sibling_of
from localmirror.remote import RemoteFile, RemoteSeam

if TYPE_CHECKING:

    class _Base(RemoteSeam, AzureStorage): ...

else:
    _Base = object

#: Bytes that go in one request, and that are held in memory for it; the SDK's own defaults are 64 and 32 MB.
PIECE = 8 << 20

# The SDK waits 15 seconds before it tries again. Who waits is a page or a starting process.
CLIENT_OPTIONS: Mapping[str, Any] = {
    "max_single_put_size": PIECE,
    "max_single_get_size": PIECE,
    "max_chunk_get_size": PIECE,
    "connection_timeout": 10,
    "read_timeout": 60,
    "initial_backoff": 1,
    "increment_base": 2,
    "random_jitter_range": 1,
}

UNAVAILABLE: tuple[type[BaseException], ...] = (azure.ServiceRequestError, azure.ServiceResponseError)

# What hits every file alike: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
_FATAL_CODES = frozenset(
    [
        "AccountIsDisabled",
        "AuthenticationFailed",
        "AuthorizationFailure",
        "AuthorizationPermissionMismatch",
        "ContainerBeingDeleted",
        "ContainerDisabled",
        "ContainerNotFound",
        "InsufficientAccountPermissions",
        "InvalidAuthenticationInfo",
        "NoAuthenticationInformation",
    ]
)

# https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
_LONGEST_NAME = 1024
_MOST_SEGMENTS = 254
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
_DOT_AT_END = re.compile(r"\.(?=/|$)")


class AzureRepairs(_Base):
    """Stands between the mirror and AzureStorage, and makes it keep Django's contract for storages."""

    mirror_workers: int

    def _get_service_client(self) -> BlobServiceClient:
        options = {**CLIENT_OPTIONS, **self.client_options}
        if self.api_version:
            options["api_version"] = self.api_version
        if "transport" not in options:
            options["transport"] = RequestsTransport(**options)
            options["transport"].open()
            widen_pool(options["transport"].session, self.mirror_workers)
        if self.connection_string:
            return BlobServiceClient.from_connection_string(self.connection_string, **options)
        credential = self.sas_token or self.token_credential
        if self.account_key:
            credential = {"account_name": self.account_name, "account_key": self.account_key}
        host = f"{self.account_name}.blob.{self.endpoint_suffix}"
        return BlobServiceClient(f"{self.azure_protocol}://{host}", credential=credential, **options)

    @property
    def endpoint_url(self) -> str:
        """The address of the account, without the signature that the SDK appends where there is a ``sas_token``."""
        return str(self.service_client.url).partition("?")[0].rstrip("/")

    def _get_valid_path(self, name: str) -> str:
        # AzureStorage strips dots and slashes at both ends, and so stores `.well-known/x` as `well-known/x`.
        path: str = self._normalize_name(clean_name(name))
        segments = path.count("/") + 1
        if not path or len(path) > _LONGEST_NAME or segments > _MOST_SEGMENTS:
            limits = f"1 to {_LONGEST_NAME} characters and {_MOST_SEGMENTS} directories"
            raise SuspiciousFileOperation(f"Azure cannot store a blob named {path!r}: it allows {limits}.")
        if _DOT_AT_END.search(path) or _UNFIT.search(path):
            raise SuspiciousFileOperation(
                f"Azure cannot store a blob named {path!r}: no directory and no file may end with a dot, which the "
                "service would drop, or contain control characters."
            )
        return path

    def get_valid_name(self, name: str) -> str:
        """Return *name* as Django makes it fit for a file, without the dots at its end."""
        return super().get_valid_name(name).rstrip(".")

    def _blob(self, name: str) -> Any:
        return self.client.get_blob_client(self._get_valid_path(name))

    def _properties(self, name: str) -> Any:
        return self._blob(name).get_blob_properties(timeout=self.timeout)

    def _open(self, name: str, mode: str = "rb") -> Any:
        file = super()._open(name, mode)
        if "r" in mode:
            file.file  # noqa: B018 - downloads now, so that a missing blob is missed when it is opened
        return file

    def exists(self, name: str) -> bool:
        """Whether there is a blob *name*; a missing container is an error, not an answer."""
        try:
            self._properties(name)
        except azure.ResourceNotFoundError as error:
            if not is_missing_blob(error):
                raise
            return False
        return True

    def delete(self, name: str) -> None:
        """Delete *name*; a missing blob is no error, a missing container is."""
        try:
            self._blob(name).delete_blob(timeout=self.timeout)
        except azure.ResourceNotFoundError as error:
            if not is_missing_blob(error):
                raise

    def get_created_time(self, name: str) -> datetime:
        """Return when *name* was created, aware if ``USE_TZ``."""
        created: datetime = self._properties(name).creation_time
        return created if setting("USE_TZ") else timezone.make_naive(created)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the directories and files in *path*, named relative to it."""
        base = f"{self._get_valid_path(path).rstrip('/')}/" if path else self._normalize_name("")
        found = self.client.walk_blobs(
            name_starts_with=base or None, delimiter="/", include=["metadata"], timeout=self.timeout
        )
        directories: list[str] = []
        files: list[str] = []
        for item in found:
            if isinstance(item, BlobPrefix):
                directories.append(item.name[len(base) :].rstrip("/"))
            elif is_file(item):
                files.append(item.name[len(base) :])
        return directories, files

    def list_files(self, prefix: str) -> Iterator[Any]:
        """Iterate over the properties of all blobs whose path begins with *prefix*: one request for 5,000."""
        found = self.client.list_blobs(
            name_starts_with=prefix or None, include=["metadata"], results_per_page=5000, timeout=self.timeout
        )
        return (item for item in found if is_file(item))

    def send(self, name: str, file: File[bytes], settings: ContentSettings, **condition: Any) -> str:
        """Store *file* as *name*, whatever is there, and return its ETag; in blocks if it is larger than 8 MB."""
        answer = self._blob(name).upload_blob(
            file,
            length=file.size,
            overwrite=True,
            content_settings=settings,
            max_concurrency=self.upload_max_conn,
            timeout=self.timeout,
            **condition,
        )
        return str(answer["etag"]).strip('"')

    def is_stored_plain(self, name: str) -> bool:
        """Whether uploading *name* leaves it without a Content-Encoding; what has one was put there by others."""
        settings = self._get_content_settings_parameters(self._get_valid_path(name))
        return not settings["content_encoding"] and not sibling_of(name)


class AzureStaticStorage(AzureStorage):
    """AzureStorage with names that overwrite, and URLs that are the same each time and show no signature."""

    expiration_secs = None
    overwrite_files = True

    def url(self, name: str | None, expire: int | None = None, parameters: Any = None, mode: str = "r") -> str:
        """Return the URL of *name*: signed if *expire* is given, else without asking the SDK, which builds clients."""
        if expire:
            return str(super().url(name, expire, parameters, mode))
        base = urlsplit(self.endpoint_url)
        if self.custom_domain:
            base = base._replace(netloc=self.custom_domain)
        return f"{base.geturl()}/{self.azure_container}/{quote(self._get_valid_path(name), safe='/~')}"


def is_file(blob: Any) -> bool:
    """Whether *blob*, as listed with its metadata, is no stand-in for a directory, as hierarchical accounts have."""
    return not blob.name.endswith("/") and (blob.metadata or {}).get("hdi_isfolder") != "true"


def code_of(error: BaseException) -> str:
    """Return the service's code for *error*, empty if it did not answer."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def is_missing_blob(error: BaseException) -> bool:
    """Whether *error* is a 404 for a blob, and not for its container."""
    return isinstance(error, azure.ResourceNotFoundError) and code_of(error) != "ContainerNotFound"


def is_lost_race(error: BaseException) -> bool:
    """Whether *error* says that a blob is not, or no longer, what a conditional write expected."""
    return code_of(error) in ("ConditionNotMet", "TargetConditionNotMet", "BlobAlreadyExists")


def hits_everything(error: BaseException) -> bool:
    """Whether *error* is about credentials, container or network rather than one blob."""
    unreachable = isinstance(error, azure.ServiceRequestError)
    return unreachable or isinstance(error, azure.ClientAuthenticationError) or code_of(error) in _FATAL_CODES


def sentence(error: BaseException) -> str:
    """Return the service's own sentence, without what the SDK adds and without any signature."""
    said = f"{code_of(error) or type(error).__name__}: {first_line(error)}"
    said = re.sub(r"<[\w.]+ object at 0x[0-9a-f]+>: ", "", said)
    return re.sub(r"\bsig=[^&\s'\")]+", "sig=***", said)


def remote_file(name: str, blob: Any) -> RemoteFile:
    """Return what the service told of *blob*: its answers quote the ETag, its listings do not."""
    md5 = blob.content_settings.content_md5
    return RemoteFile(name, blob.size, md5.hex() if md5 else None, blob.last_modified, blob.etag.strip('"'))
