"""Repairs of apache-libcloud's drivers (3.9.1): files that are whole, and no request that is not needed."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any
from urllib.parse import urlsplit

from libcloud.common.types import InvalidCredsError, LibcloudError
from libcloud.storage.base import Container
from libcloud.storage.types import ObjectDoesNotExistError
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from localmirror.backends._libcloud_local import LocalRepairs
from localmirror.backends._libcloud_provider import family_of, is_kind
from localmirror.content import CHUNK_SIZE
from localmirror.names import sibling_of

# The driver that follows in the MRO.
_Driver: Any = object

# Seconds without an answer; libcloud sets none for the transfer of a file.
_TIMEOUT = 60

_RETRY = Retry(total=3, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504), raise_on_status=False)

# What S3 takes in one request, in bytes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html
_LARGEST_IN_ONE_PIECE = 5 << 30


# What S3 and Azure say of an object that is missing in a container that is not.
_MISSING_ALONE = re.compile("NoSuchKey|BlobNotFound")

# Containers that this process has found to be there.
_found: set[tuple[Any, ...]] = set()


def build(driver: type, *args: Any, **kwargs: Any) -> Any:
    """Return a mended driver. It belongs to one thread: libcloud keeps the answer in the connection."""
    bases: tuple[type, ...] = (_Repairs, driver)
    if is_kind(driver, "LocalStorageDriver"):
        bases = (LocalRepairs, *bases)
        # Else a lock file for each name stays behind in the system's temporary directory.
        kwargs.setdefault("ex_use_locking", False)
    made = type(driver.__name__, bases, {})(*args, **kwargs)
    session: Any = made.connection.connection.session
    for scheme in ("https://", "http://"):
        if type(session.get_adapter(scheme)) is HTTPAdapter:  # another one carries a client's certificate
            session.mount(scheme, _Adapter(max_retries=_RETRY))
    return made


def encoding_of(name: str) -> str | None:
    """Return the Content-Encoding that a name promises."""
    sibling = sibling_of(name)
    return sibling[1] if sibling else mimetypes.guess_type(name)[1]


class Chunks:
    """A file as every driver reads it right: by `read` or by iteration, in pieces that are no lines."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.len = size  # what requests takes for Content-Length
        self.read = file.read
        self.seek = file.seek
        self.tell = file.tell

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = self.read(CHUNK_SIZE)
        if not chunk:
            raise StopIteration
        return chunk


class _Adapter(HTTPAdapter):
    """Sends requests as libcloud means them."""

    def send(self, request: Any, stream: Any = False, timeout: Any = None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(request.body, Chunks) and not request.body.len:
            # requests announces an empty file as chunked, which S3 does not accept.
            request.headers.pop("Transfer-Encoding", None)
            request.headers["Content-Length"] = "0"
            request.body = None
        response = super().send(request, stream, timeout or _TIMEOUT, *args, **kwargs)
        if encoding_of(urlsplit(request.url).path):
            # What is called ``.gz`` is wanted as it is stored; its Content-Encoding is for browsers.
            response.raw.headers.discard("Content-Encoding")
        return response


class _Repairs(_Driver):
    """Mixed into every driver."""

    def upload_object_via_stream(self, iterator: Chunks, container: Container, *args: Any, **kwargs: Any) -> Any:
        # In one request, which gives an ETag that is the MD5, unless S3 wants parts.
        in_parts = getattr(super(), "supports_s3_multipart_upload", False)
        self.supports_s3_multipart_upload = in_parts and iterator.len > _LARGEST_IN_ONE_PIECE
        with self._in_a_container(container.name):
            return super().upload_object_via_stream(iterator, container, *args, **kwargs)

    def get_container(self, container_name: str) -> Any:
        if family_of(type(self)).by_name:
            return Container(container_name, {}, self)
        found = self.__dict__.get("_container")
        if found is None or found.name != container_name:
            found = self.__dict__["_container"] = super().get_container(container_name)
        return found

    def get_object(self, container_name: str, object_name: str) -> Any:
        with self._in_a_container(container_name):
            try:
                return super().get_object(container_name, object_name)
            except ObjectDoesNotExistError as error:
                answer = self.connection.connection.getresponse()
                status = getattr(answer, "status_code", 404)
                if status == 404:
                    raise
                # The drivers of S3 and Azure take any refusal for a missing object.
                raise LibcloudError(f"Unexpected status code: {status}", self) from error

    def download_object_as_stream(self, obj: Any, chunk_size: int | None = None) -> Iterator[bytes]:
        with self._in_a_container(obj.container.name):
            return super().download_object_as_stream(obj, chunk_size)  # type: ignore[no-any-return]

    def delete_object(self, obj: Any) -> bool:
        with self._in_a_container(obj.container.name):
            return bool(super().delete_object(obj))

    @contextmanager
    def _in_a_container(self, name: str) -> Iterator[None]:
        """Let an object be missing in a container, but not with it: asked for once, unless the answer tells."""
        connection = self.connection
        place = (connection.host, connection.port, getattr(connection, "account_prefix", None), self.key, name)
        try:
            yield
        except ObjectDoesNotExistError:
            told = getattr(connection.connection.getresponse(), "text", "")
            if family_of(type(self)).by_name and place not in _found and not _MISSING_ALONE.search(told):
                with suppress(InvalidCredsError):  # who may not ask is told no more than that the object is missing
                    super().get_container(name)
                _found.add(place)
            raise
        _found.add(place)
