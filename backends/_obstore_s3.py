"""obstore for S3, in the place of the very client that the storage would use itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore import exceptions as boto
from botocore.config import Config
from django.core.files.base import File

from localmirror.backends import _s3_objects, s3
from localmirror.backends._engines import Unfit, require_stock
from localmirror.backends._obstore import SENDING_SECONDS, ObstoreEngine
from localmirror.backends._obstore_words import Failure, in_words
from localmirror.backends._s3_client import address
from localmirror.backends._s3_errors import status_of
from localmirror.backends._s3_store import store
from localmirror.remote import RemoteFile

if TYPE_CHECKING:
    from obstore.store import S3Store

# Parameters of PutObject that obstore has a word for; Metadata it takes key by key.
_WORDS = {
    "CacheControl": "Cache-Control",
    "ContentDisposition": "Content-Disposition",
    "ContentEncoding": "Content-Encoding",
    "ContentLanguage": "Content-Language",
    "ContentType": "Content-Type",
    "StorageClass": "Storage-Class",
}
# Of which S3 takes no smaller ones but the last: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_SMALLEST_PART = 5 << 20
_OPERATIONS = {"PUT": "PutObject", "GET": "ListObjectsV2"}
_CONNECTION_ERRORS = {"Timeout": boto.ReadTimeoutError, "Connect": boto.EndpointConnectionError}


class S3Engine(ObstoreEngine):
    """obstore with the credentials, the address and the connection options of an S3 storage of django-storages."""

    storage: s3.S3MirrorMixin

    def __init__(self, storage: s3.S3MirrorMixin) -> None:
        super().__init__(storage)
        require_stock(
            storage,
            saves_in_its_own_way=storage.saves_in_its_own_way,
            upload=s3.S3MirrorMixin,
            remote_files=s3.S3MirrorMixin,
            delete_many=s3.S3MirrorMixin,
        )
        self.multipart_from = storage.transfer_config.multipart_threshold
        self.part_size = max(_SMALLEST_PART, storage.transfer_config.multipart_chunksize)
        self._lock = threading.Lock()
        self._locate()
        self.store()

    def _locate(self) -> None:
        self.moved = False
        self._address = address(self.storage._client, self.storage.bucket_name)
        self._stores: dict[bool, S3Store] = {}

    def keys(self) -> dict[str, Any]:
        keys = self.storage._client_session.get_credentials().get_frozen_credentials()
        return {"access_key_id": keys.access_key, "secret_access_key": keys.secret_key, "token": keys.token}

    def store(self, *, sending: bool = False) -> S3Store:
        with self._lock:
            if self.moved:  # the SDK has met the same answer meanwhile, and learnt where the bucket is
                known = self._address
                self._locate()
                if self._address == known:
                    self.moved = True
                    raise Unfit("S3 sends obstore elsewhere")
            if sending not in self._stores:
                client, bucket, seconds = self.storage._client, self.storage.bucket_name, SENDING_SECONDS * sending
                self._stores[sending] = store(client, bucket, self._address, self.credentials, seconds)
            return self._stores[sending]

    def key(self, name: str) -> str:
        key: str = self.storage._normalize_name(name)
        return key

    def attributes(self, name: str, file: File[bytes], *, immutable: bool) -> dict[str, str]:
        parameters = self.storage.write_parameters(name, file, immutable=immutable)
        metadata = parameters.pop("Metadata", {})
        return in_words(_WORDS, parameters, metadata)

    def encoded(self, name: str, file: File[bytes], attributes: dict[str, str]) -> bytes | None:
        parameters = {"ContentType": attributes["Content-Type"]}
        if "Content-Encoding" in attributes or not self.storage.compresses(parameters):
            return None
        if file.size >= self.multipart_from:
            raise Unfit("large files are compressed on the way")
        body: bytes = self.storage._compress_content(file).read()
        attributes["Content-Encoding"] = "gzip"
        return body

    def misread(self) -> Iterator[str]:
        """Iterate over what lies behind a leading slash, which obstore takes away: /a.css passes for a.css."""
        if self.key(""):
            return
        try:
            # One is asked for first: some servers take the slash for the root, and would tell everything.
            if any(key.startswith("/") for page in self._below_a_slash(MaxItems=1, PageSize=1) for key in page):
                for page in self._below_a_slash():
                    yield from (key.lstrip("/") for key in page if key.startswith("/"))
        except boto.ClientError as error:
            if status_of(error) != 403:
                raise
            self.remarks.append("Names that begin with a slash may not be listed; they pass for those without.")

    def _below_a_slash(self, **limits: int) -> Iterator[list[str]]:
        paginator = self.storage._client.get_paginator("list_objects_v2")
        for page in paginator.paginate(Bucket=self.storage.bucket_name, Prefix="/", PaginationConfig=limits):
            yield [entry["Key"] for entry in page.get("Contents", ())]

    def listed(self, name: str, entry: Any) -> RemoteFile:
        return _s3_objects.remote_file(name, entry["size"], entry["e_tag"], entry["last_modified"])

    def unconnected(self, failure: Failure) -> Exception:
        # boto3 tells a certificate, a proxy and a server from each other. Once: obstore has tried often enough.
        client = self.storage.make_client(Config(retries={"total_max_attempts": 1}))
        try:
            client.list_objects_v2(Bucket=self.storage.bucket_name, MaxKeys=1)
        except Exception as error:
            return error
        return super().unconnected(failure._replace(disagreed=True))

    def translated(self, failure: Failure) -> Exception:
        if failure.connection:
            kind = _CONNECTION_ERRORS.get(failure.connection, boto.ConnectionClosedError)
            lost: Exception = kind(endpoint_url=self._address.url, error=failure.connection)
            return lost
        told = {"Code": failure.code or str(failure.status), "Message": failure.message}
        answer: Any = {"Error": told, "ResponseMetadata": {"HTTPStatusCode": failure.status}}
        return boto.ClientError(answer, _OPERATIONS.get(failure.method, "ListObjectsV2"))


engine = S3Engine
