"""The SDK's client for an Azure account, made for many threads and for somebody who waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobServiceClient

from localmirror.backends._http import widen_pool

#: Bytes that go in one request, and that are held in memory for it; the SDK's own defaults are 64 and 32 MB.
PIECE = 8 << 20

# The SDK waits 15 seconds before it tries again. Who waits is a page or a starting process.
CLIENT_OPTIONS: Mapping[str, Any] = {
    "max_single_put_size": PIECE,
    "max_single_get_size": PIECE,
    "max_chunk_get_size": PIECE,
    "connection_timeout": 10,
    "read_timeout": 60,
    "initial_backoff": 1,
    "increment_base": 2,
    "random_jitter_range": 1,
}


def connect(storage: Any) -> BlobServiceClient:
    """Return the client that the options of *storage* describe; its ``client_options`` come before ours."""
    options = {**CLIENT_OPTIONS, **storage.client_options}
    if storage.api_version:
        options["api_version"] = storage.api_version
    if "transport" not in options:
        transport = options["transport"] = RequestsTransport(**options)
        transport.open()
        widen_pool(transport.session, storage.mirror_workers)
    if storage.connection_string:
        return BlobServiceClient.from_connection_string(storage.connection_string, **options)
    credential = storage.sas_token or storage.token_credential
    if storage.account_key:
        credential = {"account_name": storage.account_name, "account_key": storage.account_key}
    host = f"{storage.account_name}.blob.{storage.endpoint_suffix}"
    return BlobServiceClient(f"{storage.azure_protocol}://{host}", credential=credential, **options)
