"""Amazon S3, and whatever speaks its protocol, through the S3 storages of django-storages."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import File

from localmirror.backends._announced import AnnouncedParameters
from localmirror.backends._engines import fitting_engine
from localmirror.backends._extras import needs_extra
from localmirror.hashing import CachedFilesMixin
from localmirror.remote import Engine, RemoteFile
from localmirror.roles import CompressorMirrorMixin, StaticMirrorMixin

with needs_extra("s3"):
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import ParamValidationError
    from storages.backends.s3 import S3StaticStorage, S3Storage

    from localmirror.backends._s3_objects import S3Objects, remote_file


class S3MirrorMixin(S3Objects, AnnouncedParameters):
    """LocalMirrorMixin for the S3 storages of django-storages: the same, in fewer requests."""

    required_attributes: ClassVar[tuple[str, ...]] = ("bucket_name",)
    secret_attributes: ClassVar[tuple[str, ...]] = (
        "secret_key",
        "security_token",
        "access_key",
        "cloudfront_key",
    )
    header_names: ClassVar[Mapping[str, str]] = {
        "cache_control": "CacheControl",
        "content_type": "ContentType",
        "content_encoding": "ContentEncoding",
    }
    listing_tells_content: bool = True
    listing_is_sorted: ClassVar[bool] = True
    listing_is_flat: bool = True
    carries_headers: bool = True
    writes_on_condition: bool = True

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        # boto3 1.44: a TransferConfig marks what was not given by an object that does not survive pickling.
        config = state["transfer_config"] = copy.copy(self.transfer_config)
        vars(config).update({name: getattr(config, name) for name in vars(config)})
        return state

    def remote_files(self, prefix: str = "", after: str = "") -> Iterator[RemoteFile]:
        """Iterate over the flat listing below *prefix*: one request for 1,000 objects."""
        base = self._normalize_name("")
        begin = {"StartAfter": base + after} if after else {}
        paginator = self._client.get_paginator("list_objects_v2")
        for page in paginator.paginate(Bucket=self.bucket_name, Prefix=base + prefix, **begin):
            for entry in page.get("Contents", ()):
                if not entry["Key"].endswith("/"):
                    yield remote_file(entry["Key"][len(base) :], entry["Size"], entry["ETag"], entry["LastModified"])

    def encoded_md5(self, name: str, file: File[bytes]) -> str:
        """Return the MD5 of the body as S3 stores it."""
        if not self.packs(name):
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

    def base_address(self) -> str | None:
        """Return the address before all names, without the connections that ``url`` would make on the way."""
        plain = getattr(super().url, "__func__", None) is S3Storage.url
        if not plain or self.custom_domain or self.querystring_auth:
            return super().base_address()
        self.check_configured()
        client = self.make_client(Config(signature_version=UNSIGNED))
        try:
            return str(client.generate_presigned_url("get_object", Params=self._object("x"))).removesuffix("x")
        except ParamValidationError as error:
            raise ImproperlyConfigured(
                f"{self.describe_remote()} has no address: {self.describe_error(error)}"
            ) from error

    def bulk_engine(self) -> Engine:
        """Return the engine over obstore, or the storage's own way where obstore cannot do just what it does."""
        return fitting_engine(self, "localmirror.backends._obstore_s3")


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


class MirroredS3Storage(S3MirrorMixin, S3Storage):
    """Media on S3, with a mirror."""


class MirroredS3StaticStorage(StaticMirrorMixin, S3MirrorMixin, S3StaticStorage):
    """Static files on S3 under their own names, with a mirror."""

    # A project that sets AWS_S3_FILE_OVERWRITE means its uploads.
    file_overwrite = True


class MirroredS3ManifestStaticStorage(ManifestFilesMixin, MirroredS3StaticStorage):  # type: ignore[misc]
    """Static files on S3 under hashed names that a manifest lists, with a mirror."""


class MirroredS3CachedStaticStorage(CachedFilesMixin, MirroredS3StaticStorage):  # type: ignore[misc]
    """The same with the hashed names in Django's cache."""


class MirroredS3CompressorStorage(CompressorMirrorMixin, S3MirrorMixin, S3StaticStorage):
    """The output of django-compressor on S3, with a mirror."""

    file_overwrite = True
