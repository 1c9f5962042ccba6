"""What django-storages' GoogleCloudStorage and Google's SDK need mended before the mirror can stand on them."""

from __future__ import annotations

import base64
import mimetypes
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.core.files.base import File
from google.api_core.exceptions import NotFound
from google.cloud.storage.retry import DEFAULT_RETRY
from storages.backends.gcloud import GoogleCloudStorage
from storages.utils import clean_name

from localmirror.backends._gcloud_errors import is_missing_object
from localmirror.backends._gzip import packed_if
from localmirror.backends._http import widen_pool
from localmirror.remote import RemoteFile, RemoteSeam

if TYPE_CHECKING:

    class _Base(RemoteSeam, GoogleCloudStorage): ...

else:
    _Base = GoogleCloudStorage

# The SDK tries for two minutes. Who reads is a page or a starting process that could have gone on with its mirror.
READING = {"retry": DEFAULT_RETRY.with_timeout(10), "timeout": (10, 60)}
WRITING = {"retry": DEFAULT_RETRY.with_timeout(60), "timeout": (10, 60)}

#: Bytes of a file that are sent at a time, and held in memory; the SDK's own default is 100 MB.
PIECE = 8 << 20

#: What a listing is asked for. Leaving the rest out makes an answer a quarter as long.
LISTED = "items(name,size,md5Hash,updated,generation),nextPageToken"


class GoogleCloudRepairs(_Base):
    """GoogleCloudStorage as Django's contract for storages would have it, below a mirror."""

    mirror_workers: int

    @property
    def endpoint_url(self) -> str:
        """Where the API is: Google's own address, or the emulator that the environment names to the SDK."""
        return (os.environ.get("STORAGE_EMULATOR_HOST") or "https://storage.googleapis.com").rstrip("/")

    @property
    def client(self) -> Any:
        """One client for all threads, with a connection for each of them."""
        is_new = self._client is None
        client = super().client
        if is_new:
            widen_pool(client._http, self.mirror_workers)
            # google-cloud-storage 3.11 to 3.17 asks for the bucket's metadata, unasked and in a thread, which costs a
            # request and shows up in audit logs as refused where only objects may be used.
            client._bucket_metadata_cache = None
        return client

    def _get_blob(self, name: str) -> Any:
        blob = self.bucket.blob(name)
        try:
            blob.reload(**READING)
        except NotFound as error:
            if not is_missing_object(error):
                raise
            raise FileNotFoundError(f"{name!r} does not exist in {self.describe_remote()}.") from error
        return blob

    def stored_as(self, key: str, content: Any = None) -> dict[str, Any]:
        """Return the properties that an upload gives to the object *key*, with its ACL, before any compression."""
        guessed, encoding = mimetypes.guess_type(key)
        content_type = getattr(content, "content_type", None) or guessed
        own = {"content_type": content_type, "content_encoding": encoding, "acl": self.default_acl}
        own.update(self.get_object_parameters(key))
        return own

    def send(self, key: str, file: File[bytes], properties: dict[str, Any], *, packed: bool, **condition: int) -> str:
        """Store *file* under *key* and return its generation; in pieces if it is larger than 8 MB."""
        told = {"content_type": properties.pop("content_type"), "predefined_acl": properties.pop("acl")}
        blob = self.bucket.blob(key, chunk_size=self.blob_chunk_size or PIECE)
        for attribute, value in (properties | {"content_encoding": "gzip"} if packed else properties).items():
            setattr(blob, attribute, value)
        with packed_if(packed, file) as body:
            blob.upload_from_file(body, rewind=True, size=body.size, **told, **condition, **WRITING)
        return str(blob.generation)

    def exists(self, name: str) -> bool:
        """Whether there is an object *name*; a missing bucket is an error, not an answer."""
        try:
            self._get_blob(self._normalize_name(name))
        except FileNotFoundError:
            return False
        return True

    def delete(self, name: str) -> None:
        """Delete *name*; a missing object is no error, a missing bucket is."""
        try:
            self.bucket.delete_blob(self._normalize_name(clean_name(name)), **WRITING)
        except NotFound as error:
            if not is_missing_object(error):
                raise

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the directories and files in *path*; the empty objects that stand for a directory are no files."""
        base = self._normalize_name(clean_name(path))
        base = f"{base.rstrip('/')}/" if base else ""
        found = self.bucket.list_blobs(prefix=base, delimiter="/", fields=f"prefixes,{LISTED}", **READING)
        files = [blob.name[len(base) :] for blob in found if blob.name != base]
        return [prefix[len(base) : -1] for prefix in sorted(found.prefixes)], files


class GoogleCloudStaticStorage(GoogleCloudRepairs):
    """The same with names that overwrite, and URLs that are the same each time."""

    querystring_auth = False
    file_overwrite = True

    def url(self, name: str | None, parameters: dict[str, Any] | None = None) -> str:
        """Return the URL of *name*; one that is not signed needs neither credentials nor a client."""
        if self.querystring_auth:
            return str(super().url(name, parameters))  # type: ignore[call-arg]
        base = self.custom_endpoint or f"{self.endpoint_url}/{self.bucket_name}"
        return f"{base}/{quote(self._normalize_name(clean_name(name)), safe='/~')}"


def remote_file(name: str, blob: Any, size: int | None = None) -> RemoteFile:
    """Return what the service told of *blob*. Its generation is the word for a version: no two ever share one."""
    md5 = base64.b64decode(blob.md5_hash).hex() if blob.md5_hash else None
    generation = str(blob.generation) if blob.generation else None
    return RemoteFile(name, blob.size if size is None else size, md5, blob.updated, generation)
