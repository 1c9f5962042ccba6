"""Sending and fetching single objects of S3, with the parameters that the storage's own methods would send."""

from __future__ import annotations

import gzip
import re
import shutil
from datetime import datetime
from typing import IO, Any

from boto3.s3.transfer import S3Transfer
from botocore import exceptions as boto
from django.core.files.base import File
from storages.backends.s3 import S3Storage

from localmirror.backends._s3_connection import S3Connection
from localmirror.backends._s3_errors import status_of
from localmirror.content import CHUNK_SIZE
from localmirror.names import sibling_of
from localmirror.remote import RemoteFile, Uploaded

_MD5 = re.compile(r"[0-9a-f]{32}")


class S3Objects(S3Connection):
    """The part of the S3 adapter that moves one object."""

    @property
    def saves_in_its_own_way(self) -> bool:  # type: ignore[override]
        """Whether somebody has overridden where django-storages sends a file."""
        return (type(self).bucket, type(self).connection) != (S3Storage.bucket, S3Storage.connection)

    def _object(self, name: str) -> dict[str, str]:
        return {"Bucket": self.bucket_name, "Key": self._normalize_name(name)}

    def _read_parameters(self, name: str) -> dict[str, Any]:
        given = self.get_object_parameters(name)
        return {key: value for key, value in given.items() if key in S3Transfer.ALLOWED_DOWNLOAD_ARGS}

    def write_parameters(self, name: str, file: File[bytes], *, immutable: bool) -> dict[str, Any]:
        """Return what ``_save`` would send along with *file*."""
        with self.announced(self.headers_for(file, immutable=immutable)):
            parameters: dict[str, Any] = self._get_write_parameters(self._normalize_name(name), file)
        return parameters

    def compresses(self, parameters: dict[str, Any]) -> bool:
        """Whether ``_save`` would compress a file that goes with *parameters*."""
        return bool(
            self.gzip and parameters["ContentType"] in self.gzip_content_types and "ContentEncoding" not in parameters
        )

    def upload(self, name: str, file: File[bytes], *, immutable: bool) -> Uploaded:
        """Send *file* in one PUT, or in parts straight from disk if it is large; compressed ones the storage's way.

        What is in memory, as a release's record is, goes in one PUT whatever its size.
        """
        parameters = self.write_parameters(name, file, immutable=immutable)
        if self.compresses(parameters) or self.saves_in_its_own_way:
            return super().upload(name, file, immutable=immutable)
        path = getattr(file, "path", None)
        if path is None or file.size < self.transfer_config.multipart_threshold:
            answer = self._client.put_object(**self._object(name), Body=file, **parameters)
            return Uploaded(name, answer["ETag"].strip('"'))
        key = self._object(name)
        self._client.upload_file(path, *key.values(), ExtraArgs=parameters, Config=self.transfer_config)
        there = self.remote_file(name)
        return Uploaded(name, there.etag if there else None)

    def upload_manifest(self, name: str, file: File[bytes], *, seen: RemoteFile | None) -> Uploaded:
        """Send the manifest with If-Match or If-None-Match, having asked before for servers that ignore them."""
        self.check_unchanged(name, seen)
        condition = {"IfMatch": f'"{seen.etag}"'} if seen else {"IfNoneMatch": "*"}
        parameters = self.write_parameters(name, file, immutable=False)
        file.seek(0)
        if self.compresses(parameters):
            body = self._compress_content(file).read()
            parameters["ContentEncoding"] = "gzip"
        else:
            body = file.read()
        try:
            answer = self._client.put_object(**self._object(name), Body=body, **parameters, **condition)
        except boto.ClientError as error:
            if status_of(error) not in (409, 412):
                raise
            return self.settle_conflict(name, file, error)
        return Uploaded(name, answer["ETag"].strip('"'))

    def remote_file(self, name: str) -> RemoteFile | None:
        """Return what a HEAD request says of *name*, None for a 404."""
        try:
            answer = self._client.head_object(**self._object(name), **self._read_parameters(name))
        except boto.ClientError as error:
            if self.is_missing(error):
                return None
            raise
        return remote_file(name, answer["ContentLength"], answer["ETag"], answer["LastModified"])

    def download(self, name: str, target: IO[bytes]) -> RemoteFile | None:
        """Write the decoded content of *name* to *target*, in one GET."""
        answer = self._client.get_object(**self._object(name), **self._read_parameters(name))
        body = answer["Body"]
        if answer.get("ContentEncoding") == "gzip" and self.packs(name, whatever_is_set=True):
            body = gzip.GzipFile(fileobj=body)
        shutil.copyfileobj(body, target, CHUNK_SIZE)
        return remote_file(name, answer["ContentLength"], answer["ETag"], answer["LastModified"])

    def encodes(self, name: str) -> bool:
        """Whether ``gzip`` compresses *name*."""
        return self.packs(name)

    def packs(self, name: str, *, whatever_is_set: bool = False) -> bool:
        """Whether ``gzip`` compresses *name*, or would if it were on."""
        parameters = self._get_write_parameters(self._normalize_name(name))
        wanted = whatever_is_set or self.compresses(parameters)
        return bool(wanted and "ContentEncoding" not in parameters and not sibling_of(name))


def remote_file(name: str, size: int, etag: str, modified: datetime | None) -> RemoteFile:
    """Return what S3 tells of an object; its ETag is an MD5 unless it was sent in parts or encrypted by KMS."""
    bare = etag.strip('"')
    return RemoteFile(name, size, bare if _MD5.fullmatch(bare) else None, modified, bare)
