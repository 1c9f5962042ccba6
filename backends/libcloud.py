"""Whatever apache-libcloud reaches, through django-storages' storage for it."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, ClassVar

from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.core.checks import CheckMessage
from django.core.files.base import File

from localmirror.backends._extras import needs_extra
from localmirror.hashing import CachedFilesMixin
from localmirror.mirror import LocalMirrorMixin
from localmirror.names import redact
from localmirror.remote import RemoteFile, Uploaded
from localmirror.roles import CompressorMirrorMixin, StaticMirrorMixin

with needs_extra("libcloud"):
    from libcloud.storage.types import ObjectDoesNotExistError

    from localmirror.backends._libcloud_checks import check_driver
    from localmirror.backends._libcloud_errors import UNAVAILABLE, describe, is_fatal, status_of
    from localmirror.backends._libcloud_storage import LibCloudRemote, etag_of, remote_file_of


if TYPE_CHECKING:

    class _Base(LocalMirrorMixin, LibCloudRemote): ...

else:
    _Base = LocalMirrorMixin


class LibCloudMirrorMixin(_Base):
    """LocalMirrorMixin for what apache-libcloud reaches."""

    repairs = LibCloudRemote
    # Drivers take the Content-Type apart from the others.
    header_names: ClassVar[Mapping[str, str]] = {
        "cache_control": "Cache-Control",
        "content_encoding": "Content-Encoding",
    }
    missing_errors: ClassVar[tuple[type[BaseException], ...]] = (ObjectDoesNotExistError,)
    unavailable_errors: ClassVar[tuple[type[BaseException], ...]] = UNAVAILABLE
    identity_attributes: ClassVar[tuple[str, ...]] = ("endpoint", "bucket", "location")
    secret_attributes: ClassVar[tuple[str, ...]] = ("key", "access_key", "token")

    @property
    def listing_is_flat(self) -> bool:  # type: ignore[override]
        """Whether the provider lists a whole container."""
        return self.family.lists_prefix

    @property
    def listing_tells_content(self) -> bool:  # type: ignore[override]
        """Whether the driver hands on a lasting ETag."""
        return self.family.by_name

    @property
    def carries_headers(self) -> bool:  # type: ignore[override]
        """Whether the driver sends the headers that it is given."""
        return self.family.headers

    def http_status(self, error: BaseException) -> int:
        """Return the status that *error* speaks of, 0 if it speaks of none."""
        return status_of(error)

    def is_fatal(self, error: BaseException) -> bool:
        """Whether *error* is about credentials, container or network rather than one object."""
        return is_fatal(error)

    def describe_error(self, error: BaseException) -> str:
        """Return what the provider said, in one line without any credential."""
        return redact(describe(error, self.bucket) or super().describe_error(error), self._secrets())

    def remote_files(self, prefix: str = "", after: str = "") -> Iterator[RemoteFile]:
        """Iterate over the flat listing below *prefix*, from its beginning."""
        for name, found in self.objects(prefix):
            yield remote_file_of(name, found)

    def remote_file(self, name: str) -> RemoteFile | None:
        """Return what the provider says of *name*, None if there is no such object."""
        try:
            return remote_file_of(name, self._get_object(name))
        except ObjectDoesNotExistError:
            return None

    def upload(self, name: str, file: File[bytes], *, immutable: bool) -> Uploaded:
        """Send *file* in one request."""
        headers = self.headers_for(file, immutable=immutable)
        content_type = headers.content_type or getattr(file, "content_type", None)
        if content_type is None:
            content_type, encoding = mimetypes.guess_type(name)
            headers = replace(headers, content_encoding=encoding)
        return Uploaded(name, etag_of(self.put(name, file, self.header_parameters(headers), content_type)))

    def download(self, name: str, target: IO[bytes]) -> RemoteFile | None:
        """Write the content of *name* to *target*, in one request where a name is all that the driver needs."""
        if not self.family.by_name:
            told = self.remote_file(name)
            self.read_into(name, target)
            return told
        self.read_into(name, target)
        headers = self.driver.connection.connection.getresponse().headers
        return RemoteFile(name, target.tell(), None, None, headers.get("ETag", "").strip('"') or None)

    def forget_connections(self) -> None:
        """Drop the drivers of all threads."""
        self.__dict__.pop("_localmirror_drivers", None)

    @classmethod
    def mirror_checks(cls, alias: str, options: dict[str, Any]) -> list[CheckMessage]:
        """Return what the driver of this provider cannot do."""
        return check_driver(cls, alias, options)


class MirroredLibCloudStorage(LibCloudMirrorMixin, LibCloudRemote):
    """Media on a provider of libcloud's, with a mirror."""


class MirroredLibCloudStaticStorage(StaticMirrorMixin, LibCloudMirrorMixin, LibCloudRemote):
    """Static files on a provider of libcloud's under their own names, with a mirror."""


class MirroredLibCloudManifestStaticStorage(ManifestFilesMixin, MirroredLibCloudStaticStorage):  # type: ignore[misc]
    """Static files on a provider of libcloud's under hashed names that a manifest lists, with a mirror."""


class MirroredLibCloudCachedStaticStorage(CachedFilesMixin, MirroredLibCloudStaticStorage):  # type: ignore[misc]
    """Static files on a provider of libcloud's under hashed names that Django's cache lists, with a mirror."""


class MirroredLibCloudCompressorStorage(CompressorMirrorMixin, LibCloudMirrorMixin, LibCloudRemote):
    """The output of django-compressor on a provider of libcloud's, with a mirror."""
