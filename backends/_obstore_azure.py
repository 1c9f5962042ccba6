"""obstore for Azure, in the place of the very client that the storage would use itself: for uploads alone.

Azure's ETags say nothing of a content, so the listing is left to the SDK, which tells MD5s; deleting is no faster here.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from azure.core import exceptions as azure
from django.core.files.base import File
from obstore.store import AzureStore
from storages.backends.azure_storage import AzureStorage

from localmirror.backends import azure as adapter
from localmirror.backends._azure import AzureRepairs
from localmirror.backends._azure_client import CLIENT_OPTIONS
from localmirror.backends._engines import Unfit, require_stock
from localmirror.backends._obstore import SENDING_SECONDS, ObstoreUploads
from localmirror.backends._obstore_setup import as_requests, connection, refuse_to_follow, retries
from localmirror.backends._obstore_words import Failure, in_words

_WORDS = {
    "cache_control": "Cache-Control",
    "content_disposition": "Content-Disposition",
    "content_encoding": "Content-Encoding",
    "content_language": "Content-Language",
    "content_type": "Content-Type",
}
# Options of the SDK's client that change nothing of what is sent, or are told to obstore as well.
_OPTIONS = {*CLIENT_OPTIONS, "connection_verify", "max_block_size", "retry_total"}
_SCOPE = "https://storage.azure.com/.default"
# The SDK's own choice among its exceptions.
_UNKNOWN_CLIENTS = ("AuthenticationFailed", "InvalidAuthenticationInfo")


class AzureEngine(ObstoreUploads):
    """obstore with the credentials, the address and the connection options of an Azure storage of django-storages."""

    storage: adapter.AzureMirrorMixin

    def __init__(self, storage: adapter.AzureMirrorMixin) -> None:
        super().__init__(storage)
        require_stock(
            storage,
            saves_in_its_own_way=storage.saves_in_its_own_way,
            upload=adapter.AzureMirrorMixin,
            _get_service_client=AzureRepairs,
            service_client=AzureStorage,
            client=AzureStorage,
        )
        options = {**CLIENT_OPTIONS, **storage.client_options}
        unknown = sorted(options.keys() - _OPTIONS)
        if unknown or storage.api_version:
            raise Unfit(f"obstore has no word for {', '.join(unknown or ['api_version'])}")
        refuse_to_follow(["AZURE_ENCRYPTION_KEY", "AZURE_STORAGE_ENCRYPTION_KEY"])
        self.multipart_from = options["max_single_put_size"]
        self.part_size = options["max_single_put_size"]
        url = storage.endpoint_url
        proxy, certificates = as_requests(url, options.get("connection_verify", True))
        waits = {"connect": options["connection_timeout"], "read": options["read_timeout"], "sending": SENDING_SECONDS}
        self._store = AzureStore(
            storage.azure_container,
            config={
                "account_name": self._account(),
                "endpoint": url,
                "skip_signature": False,
                "use_emulator": False,
                "use_fabric_endpoint": False,
            },
            client_options=connection(url, proxy, certificates, **waits),
            retry_config=retries(1 + options.get("retry_total", 3)),
            credential_provider=self.credentials,
        )
        self.keys()

    def _account(self) -> str:
        # The SDK reads it off an address of Azure's, where keys do not tell it; signatures and tokens do without.
        client = self.storage.service_client
        name = getattr(client.credential, "account_name", None) or client.account_name or self.storage.account_name
        if not name:
            raise Unfit("obstore needs the name of the account")
        return str(name)

    def keys(self) -> dict[str, Any]:
        client = self.storage.service_client
        signature = urlsplit(str(client.url)).query
        if "sig=" in signature:
            return {"sas_token": signature}
        if hasattr(client.credential, "account_key"):
            return {"access_key": client.credential.account_key}
        if hasattr(client.credential, "get_token"):
            return {"token": client.credential.get_token(_SCOPE).token}
        raise Unfit("obstore needs a key, a signature or a token")

    def key(self, name: str) -> str:
        key: str = self.storage._get_valid_path(name)
        return key

    def attributes(self, name: str, file: File[bytes], *, immutable: bool) -> dict[str, str]:
        self.require_one_piece(file)
        with self.storage.announced(self.storage.headers_for(file, immutable=immutable)):
            given = self.storage._get_content_settings_parameters(self.key(name), file)
        return in_words(_WORDS, given, {})

    def translated(self, failure: Failure) -> Exception:
        if failure.connection == "Connect":
            return azure.ServiceRequestError(f"Cannot connect to {self.storage.endpoint_url}.")
        if failure.connection:
            return azure.ServiceResponseError(f"{self.storage.endpoint_url} did not answer ({failure.connection}).")
        kind = azure.ResourceNotFoundError if failure.status == 404 else azure.HttpResponseError
        if failure.code in _UNKNOWN_CLIENTS:
            kind = azure.ClientAuthenticationError
        error: Any = kind(message=failure.message or str(failure.status))
        error.status_code = failure.status
        error.error_code = failure.code
        answered: Exception = error
        return answered


engine = AzureEngine
