"""Amazon S3, and whatever speaks its protocol, through the S3 storages of django-storages."""

from __future__ import annotations

import copy
import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any, ClassVar

from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.core.files.base import File

from localmirror.backends._extras import needs_extra
from localmirror.exceptions import ReleaseConflictError
from localmirror.mirror import LocalMirrorMixin
from localmirror.names import sibling_of
from localmirror.remote import Headers, RemoteFile, Uploaded
from localmirror.roles import CompressorMirrorMixin, StaticMirrorMixin

with needs_extra("s3"):
    from boto3.s3.transfer import S3Transfer
    from botocore import exceptions as boto
    from botocore.config import Config
    from storages.backends.s3 import S3StaticStorage, S3Storage

if TYPE_CHECKING:

    class _Base(LocalMirrorMixin, S3Storage): ...

else:
    _Base = LocalMirrorMixin

_MD5 = re.compile(r"[0-9a-f]{32}")

# What hits every file alike: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_FATAL_CODES = frozenset(
    [
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "NoSuchBucket",
        "AccountProblem",
        "AllAccessDisabled",
        "InvalidBucketName",
        "RequestTimeTooSkewed",
    ]
)


class S3MirrorMixin(_Base):
    """LocalMirrorMixin for the S3 storages of django-storages: the same, in fewer requests."""

    unavailable_errors: ClassVar[tuple[type[BaseException], ...]] = (
        boto.ConnectionError,
        boto.HTTPClientError,
    )
    secret_attributes: ClassVar[tuple[str, ...]] = (
        "secret_key",
        "security_token",
        "access_key",
        "cloudfront_key",
    )
    listing_tells_content: ClassVar[bool] = True

    def is_missing(self, error: BaseException) -> bool:
        """Whether *error* is a 404 for the object; neither a refusal nor a missing bucket is."""
        return super().is_missing(error) or _code(error) in ("404", "NoSuchKey", "NotFound")

    def is_unavailable(self, error: BaseException) -> bool:
        """Whether S3 cannot be reached, or answers that it is not well."""
        return super().is_unavailable(error) or _status(error) >= 500

    def is_fatal(self, error: BaseException) -> bool:
        """Whether *error* is about credentials, bucket or network rather than one object."""
        return (
            isinstance(error, boto.ConnectionError | boto.NoCredentialsError) or _code(error) in _FATAL_CODES
        )

    def describe_error(self, error: BaseException) -> str:
        """Return botocore's own sentence, without any credential."""
        described = super().describe_error(error)
        return described.removeprefix("ClientError: ")

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        # boto3 1.44: a TransferConfig marks what was not given by an object that does not survive pickling.
        config = state["transfer_config"] = copy.copy(self.transfer_config)
        vars(config).update({name: getattr(config, name) for name in vars(config)})
        return state

    @property
    def _client(self) -> Any:
        """One client for all threads, which boto3 allows, with a connection for each of them."""
        client = self.__dict__.get("_localmirror_client")
        if client is None:
            client = self.__dict__["_localmirror_client"] = self._create_session().client(
                "s3",
                region_name=self.region_name,
                use_ssl=self.use_ssl,
                endpoint_url=self.endpoint_url,
                config=self.client_config.merge(Config(max_pool_connections=max(10, self.mirror_workers))),
                verify=self.verify,
            )
        return client

    def _object(self, name: str) -> dict[str, str]:
        return {"Bucket": self.bucket_name, "Key": self._normalize_name(name)}

    def _read_parameters(self, name: str) -> dict[str, Any]:
        given = self.get_object_parameters(name)
        return {key: value for key, value in given.items() if key in S3Transfer.ALLOWED_DOWNLOAD_ARGS}

    def remote_files(self, prefix: str = "") -> Iterator[RemoteFile]:
        """Iterate over the flat listing below *prefix*: one request for 1,000 objects."""
        base = self._normalize_name("")
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket_name, Prefix=base + prefix
        )
        for page in pages:
            for entry in page.get("Contents", ()):
                if not entry["Key"].endswith("/"):
                    yield _remote_file(entry["Key"][len(base) :], entry["Size"], entry)

    def remote_file(self, name: str) -> RemoteFile | None:
        """Return what a HEAD request says of *name*, None for a 404."""
        try:
            answer = self._client.head_object(**self._object(name), **self._read_parameters(name))
        except boto.ClientError as error:
            if self.is_missing(error):
                return None
            raise
        return _remote_file(name, answer["ContentLength"], answer)

    def upload(self, name: str, file: File[bytes], *, immutable: bool) -> Uploaded:
        """Send *file* in one PUT, or in parts straight from disk if it is large; compressed ones the storage's way."""
        if self.encodes(name):
            return super().upload(name, file, immutable=immutable)
        parameters = self._parameters(name, file, immutable=immutable)
        if file.size < self.transfer_config.multipart_threshold:
            answer = self._client.put_object(**self._object(name), Body=file, **parameters)
            return Uploaded(name, answer["ETag"].strip('"'))
        key = self._object(name)
        self._client.upload_file(file.path, *key.values(), ExtraArgs=parameters, Config=self.transfer_config)
        there = self.remote_file(name)
        return Uploaded(name, there and there.etag)

    def _parameters(self, name: str, file: File[bytes], *, immutable: bool) -> dict[str, Any]:
        with self.announced(self.headers_for(file, immutable=immutable)):
            parameters: dict[str, Any] = self._get_write_parameters(name, file)
        return parameters

    def upload_manifest(self, name: str, file: File[bytes], *, seen: RemoteFile | None) -> Uploaded:
        """Send the manifest with If-Match or If-None-Match, having asked before for servers that ignore them."""
        self.check_unchanged(name, seen)
        condition = {"IfMatch": f'"{seen.etag}"'} if seen else {"IfNoneMatch": "*"}
        parameters = self._parameters(name, file, immutable=False)
        body = file.read()
        if self.encodes(name):
            file.seek(0)
            body = self._compress_content(file).read()
            parameters["ContentEncoding"] = "gzip"
        try:
            answer = self._client.put_object(**self._object(name), Body=body, **parameters, **condition)
        except boto.ClientError as error:
            if _status(error) not in (409, 412):
                raise
            raise ReleaseConflictError(self.conflict_message(name)) from error
        return Uploaded(name, answer["ETag"].strip('"'))

    def download(self, name: str, target: IO[bytes]) -> RemoteFile | None:
        """Write the decoded content of *name* to *target*, in one GET."""
        answer = self._client.get_object(**self._object(name), **self._read_parameters(name))
        decode = answer.get("ContentEncoding") == "gzip" and self.encodes(name, whatever_is_set=True)
        unzip = zlib.decompressobj(wbits=31) if decode else None
        for chunk in answer["Body"].iter_chunks(1 << 18):
            target.write(unzip.decompress(chunk) if unzip else chunk)
        if unzip:
            target.write(unzip.flush())
        return _remote_file(name, answer["ContentLength"], answer)

    def encodes(self, name: str, *, whatever_is_set: bool = False) -> bool:
        """Whether ``gzip`` compresses *name*, or would if it were on."""
        parameters = self._get_write_parameters(name)
        wanted = whatever_is_set or (self.gzip and parameters["ContentType"] in self.gzip_content_types)
        return bool(wanted and "ContentEncoding" not in parameters and not sibling_of(name))

    def encoded_md5(self, name: str, file: File[bytes]) -> str:
        """Return the MD5 of the body as S3 stores it."""
        if not self.encodes(name):
            return super().encoded_md5(name, file)
        return hashlib.file_digest(self._compress_content(file), _md5).hexdigest()

    def delete_many(self, names: Iterable[str]) -> None:
        """Delete *names*, 1,000 in a request."""
        keys = [{"Key": self._normalize_name(name)} for name in names]
        for start in range(0, len(keys), 1000):
            answer = self._client.delete_objects(
                Bucket=self.bucket_name, Delete={"Objects": keys[start : start + 1000], "Quiet": True}
            )
            for error in answer.get("Errors", ()):
                raise OSError(f"Cannot delete {error['Key']!r}: {error.get('Message') or error.get('Code')}")

    def header_parameters(self, headers: Headers) -> dict[str, Any]:
        """Return *headers* as parameters of PutObject."""
        spelt = {
            "CacheControl": headers.cache_control,
            "ContentType": headers.content_type,
            "ContentEncoding": headers.content_encoding,
        }
        return {key: value for key, value in spelt.items() if value is not None}

    def get_object_parameters(self, name: str) -> dict[str, Any]:
        """Return the configured parameters, and those that the mirror asks for during an upload."""
        return {**super().get_object_parameters(name), **self.announced_parameters()}


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def _remote_file(name: str, size: int, told: dict[str, Any]) -> RemoteFile:
    etag = told["ETag"].strip('"')
    return RemoteFile(name, size, etag if _MD5.fullmatch(etag) else None, told.get("LastModified"), etag)


def _code(error: BaseException) -> str | None:
    return error.response.get("Error", {}).get("Code") if isinstance(error, boto.ClientError) else None


def _status(error: BaseException) -> int:
    told = error.response.get("ResponseMetadata", {}) if isinstance(error, boto.ClientError) else {}
    return int(told.get("HTTPStatusCode", 0))


class MirroredS3Storage(S3MirrorMixin, S3Storage):
    """Media on S3, with a mirror."""


class MirroredS3StaticStorage(StaticMirrorMixin, S3MirrorMixin, S3StaticStorage):
    """Static files on S3 under their own names, with a mirror."""


class MirroredS3ManifestStaticStorage(ManifestFilesMixin, MirroredS3StaticStorage):
    """Static files on S3 under hashed names that a manifest lists, with a mirror."""


class MirroredS3CompressorStorage(CompressorMirrorMixin, S3MirrorMixin, S3StaticStorage):
    """The output of django-compressor on S3, with a mirror."""
