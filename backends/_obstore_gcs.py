"""obstore for Google Cloud Storage, in the place of the client that the storage would use itself: for uploads alone.

The listing that obstore asks for tells no generations, which conditional writes need, so that is left to the SDK;
deleting is no faster here.
"""

from __future__ import annotations

import os
from typing import Any

import requests
from django.core.files.base import File
from google.api_core import exceptions as api
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import Request
from obstore.store import GCSStore
from urllib3.exceptions import MaxRetryError

from localmirror.backends import gcloud as adapter
from localmirror.backends._engines import Unfit, require_stock
from localmirror.backends._gcloud import GoogleCloudRepairs
from localmirror.backends._gzip import packed_if
from localmirror.backends._obstore import SENDING_SECONDS, ObstoreUploads
from localmirror.backends._obstore_setup import as_requests, connection, refuse_to_follow, retries
from localmirror.backends._obstore_words import Failure, in_words

_WORDS = {
    "cache_control": "Cache-Control",
    "content_disposition": "Content-Disposition",
    "content_encoding": "Content-Encoding",
    "content_language": "Content-Language",
    "content_type": "Content-Type",
    "storage_class": "Storage-Class",
}
# Headers of google-auth 2.62 that change nothing: which kind of credentials it has, and that any location may be used.
_WITHOUT_EFFECT = {"x-goog-api-client": None, "x-allowed-locations": "0x0"}
_PIECE = 8 << 20
_CONNECT_SECONDS, _ANSWER_SECONDS, _ATTEMPTS = 10, 60, 6


class GoogleCloudEngine(ObstoreUploads):
    """obstore with the credentials and the address of a Google Cloud storage of django-storages."""

    storage: adapter.GoogleCloudMirrorMixin
    multipart_from = part_size = _PIECE

    def __init__(self, storage: adapter.GoogleCloudMirrorMixin) -> None:
        super().__init__(storage)
        require_stock(
            storage,
            saves_in_its_own_way=storage.saves_in_its_own_way,
            upload=adapter.GoogleCloudMirrorMixin,
            client=GoogleCloudRepairs,
        )
        if "STORAGE_EMULATOR_HOST" in os.environ:
            raise Unfit("an emulator does not understand obstore")
        refuse_to_follow(["GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_SERVICE_ACCOUNT_PATH"])
        self._url = str(storage.client.api_endpoint)
        self.keys()
        proxy, certificates = as_requests(self._url)
        waits = {"connect": _CONNECT_SECONDS, "read": _ANSWER_SECONDS, "sending": SENDING_SECONDS}
        self._store = GCSStore(
            storage.bucket_name,
            config={"base_url": self._url, "skip_signature": False},
            client_options=connection(self._url, proxy, certificates, **waits),
            retry_config=retries(_ATTEMPTS),
            credential_provider=self.credentials,
        )

    def keys(self) -> dict[str, Any]:
        credentials = self.storage.client._credentials  # google-cloud-core 2 has no public way to ask
        if isinstance(credentials, AnonymousCredentials):
            raise Unfit("obstore needs credentials")
        headers: dict[str, str] = {}
        credentials.before_request(Request(), "PUT", self._url, headers)
        scheme, _, token = headers.pop("authorization").partition(" ")
        for name, value in _WITHOUT_EFFECT.items():
            if value in (None, headers.get(name)):
                headers.pop(name, None)
        if headers or scheme != "Bearer":
            raise Unfit(f"the SDK sends {', '.join(sorted(headers)) or scheme} too")
        return {"token": token}

    def key(self, name: str) -> str:
        key: str = self.storage._normalize_name(name)
        return key

    def attributes(self, name: str, file: File[bytes], *, immutable: bool) -> dict[str, str]:
        self.require_one_piece(file)
        with self.storage.announced(self.storage.headers_for(file, immutable=immutable)):
            given = self.storage.stored_as(self.key(name), file)
        metadata = given.pop("metadata", None) or {}
        if any(key != key.lower() for key in metadata):
            raise Unfit("obstore would send keys of metadata in lower case")
        return {"Content-Type": "application/octet-stream", **in_words(_WORDS, given, metadata)}

    def encoded(self, name: str, file: File[bytes], attributes: dict[str, str]) -> bytes | None:
        if not self.storage.encodes(name):
            return None
        with packed_if(True, file) as body:
            attributes["Content-Encoding"] = "gzip"
            return bytes(body.read())

    def version(self, answer: Any) -> str | None:
        version: str | None = answer["version"]  # the generation, which is the adapter's word too
        return version

    def translated(self, failure: Failure) -> Exception:
        if failure.connection == "Timeout":
            return requests.Timeout(f"{self._url} did not answer in time.")
        if failure.connection == "Connect":
            lost = f"No connection to {self._url}."
            return requests.ConnectionError(MaxRetryError(None, self._url, ConnectionError(lost)))  # type: ignore[arg-type]
        if failure.connection:
            return requests.ConnectionError(f"{self._url} ended the connection.")
        answered: Exception = api.from_http_status(failure.status, failure.message or failure.code)  # type: ignore[no-untyped-call]
        return answered


engine = GoogleCloudEngine
