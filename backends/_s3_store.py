"""Setting obstore up as boto3 is set up, and in no other way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies
from obstore.store import S3Store

from localmirror.backends._engines import Unfit
from localmirror.backends._obstore_setup import connection, refuse_to_follow, retries
from localmirror.backends._s3_client import Address


def store(client: Any, bucket: str, where: Address, credentials: Callable[[], Any], more_seconds: int) -> S3Store:
    """Return a store for *bucket* that connects, waits and tries again as *client* does.

    A request may take *more_seconds* longer than *client* would wait for an answer. Raises Unfit where obstore cannot
    be told to do as the client does.
    """
    refuse_to_follow(["AWS_CHECKSUM_ALGORITHM", "AWS_SERVER_SIDE_ENCRYPTION"])
    config = client.meta.config
    if config.client_cert or config.proxies_config:
        raise Unfit("obstore has neither client_cert nor proxies_config")
    proxies = get_environ_proxies(where.url) if config.proxies is None else config.proxies
    return S3Store(
        bucket,
        # All that the environment could tell it otherwise is told here.
        config={
            "region": where.region,
            "endpoint": where.url,
            "aws_endpoint_url_s3": where.url,
            "virtual_hosted_style_request": True,  # the bucket is part of the address, wherever boto3 has put it
            "skip_signature": False,
            "unsigned_payload": False,
            "request_payer": False,
            "s3_express": False,
            "disable_bulk_delete": False,
        },
        client_options={
            **connection(
                where.url,
                proxies.get(where.url.partition(":")[0]),
                _certificates(client),
                connect=config.connect_timeout,
                read=config.read_timeout,
                sending=more_seconds,
            ),
            "user_agent": where.user_agent,
        },
        retry_config=retries(where.attempts),
        credential_provider=credentials,
    )


def _certificates(client: Any) -> str | None:
    try:
        # botocore 1.44 says nowhere else what it has made of verify, AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE and ca_bundle.
        return get_cert_path(client._endpoint.http_session._verify) or None
    except AttributeError:
        raise Unfit("this version of botocore does not tell which certificates it trusts") from None
