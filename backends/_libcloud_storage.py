"""django-storages' storage for apache-libcloud (1.14.6), mended: whole files, names below a prefix, pure URLs."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import File
from django.utils.encoding import filepath_to_uri
from django.utils.timezone import make_naive
from libcloud.storage.types import ObjectDoesNotExistError
from storages.backends.apache_libcloud import LibCloudStorage
from storages.utils import get_available_overwrite_name

from localmirror.backends._libcloud import LibCloudContainer
from localmirror.backends._libcloud_provider import is_kind
from localmirror.content import written_by
from localmirror.remote import RemoteFile

_MD5 = re.compile(r"[0-9a-f]{32}")


class LibCloudRemote(LibCloudContainer, LibCloudStorage):
    """django-storages' `LibCloudStorage`, mended."""

    def _save(self, name: str, content: File[bytes]) -> str:
        self.put(name, content, {}, getattr(content, "content_type", None))
        return name

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        return written_by(self.read_into, name)

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        if self.file_overwrite:
            return str(get_available_overwrite_name(name, max_length))
        return super().get_available_name(name, max_length)

    def exists(self, name: str) -> bool:
        try:
            self._get_object(name)
        except ObjectDoesNotExistError:
            return False
        return True

    def size(self, name: str) -> int:
        return int(self._get_object(name).size)

    def get_modified_time(self, name: str) -> datetime:
        modified = modified_of(self._get_object(name))
        if modified is None:
            raise NotImplementedError(f"{self.driver.name} does not tell when a file was modified.")
        return modified if settings.USE_TZ else make_naive(modified)

    def delete(self, name: str) -> None:
        # FileNotFoundError: the LOCAL driver, when somebody else removes the same directory.
        with suppress(ObjectDoesNotExistError, FileNotFoundError):
            if not self.driver.delete_object(self.named_object(name)) and self.exists(name):
                raise OSError(f"{self.driver.name} did not delete {name!r}.")

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        prefix = f"{path.strip('/')}/" if path.strip("/") else ""
        directories: dict[str, None] = {}
        files = []
        for name, _ in self.objects(prefix):
            directory, slash, _ = name[len(prefix) :].partition("/")
            if slash:
                directories[directory] = None
            else:
                files.append(directory)
        return list(directories), files

    def url(self, name: str | None) -> str:
        name = (name or "").lstrip("/")
        if ".." in name.split("/"):
            raise SuspiciousFileOperation(f"The name {name!r} leads outside the storage.")
        base_url = getattr(self, "base_url", None)
        if base_url is None and not self.family.by_name:
            base_url = (settings.STATIC_URL if self.is_public else settings.MEDIA_URL) or "/"
        if base_url is not None:
            return f"{str(base_url).rstrip('/')}/{_quoted(name)}"
        if self.querystring_auth:
            with suppress(NotImplementedError):  # it can sign nothing
                return str(self.driver.get_object_cdn_url(self.named_object(name)))
        return self._address() + _quoted(self.full_name(name))

    def _address(self) -> str:
        """Return the address that providers of this family give a container."""
        connection: Any = self.driver.connection
        port = "" if connection.port in (80, 443) else f":{connection.port}"
        account = getattr(connection, "account_prefix", None)
        parts = [f"{connection.host}{port}", *([account] if account else []), self.bucket]
        return f"{'https' if connection.secure else 'http'}://{'/'.join(parts)}/"


def _quoted(name: str) -> str:
    return str(filepath_to_uri(name))


def modified_of(found: Any) -> datetime | None:
    """Return when a libcloud object was modified, in UTC, whatever the driver calls it; None if it does not tell."""
    told = found.extra.get("last_modified") or found.extra.get("modify_time")
    if isinstance(told, float):
        return datetime.fromtimestamp(told, UTC)
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        with suppress(TypeError, ValueError):
            modified = read(told)
            return modified if modified.tzinfo else modified.replace(tzinfo=UTC)
    return None


def etag_of(found: Any) -> str | None:
    """Return the provider's word for this version of a libcloud object."""
    # What the LOCAL driver calls a hash is one of the date.
    return None if is_kind(type(found.driver), "LocalStorageDriver") else (found.hash or "").strip('"') or None


def remote_file_of(name: str, found: Any) -> RemoteFile:
    """Return what a libcloud object tells, as the mirror wants to know it."""
    etag = etag_of(found)
    md5 = found.extra.get("md5_hash") or etag or ""
    return RemoteFile(name, found.size, md5 if _MD5.fullmatch(md5) else None, modified_of(found), etag)
