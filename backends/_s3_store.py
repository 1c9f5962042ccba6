"""Setting obstore up as boto3 is set up, and in no other way."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies
from obstore.store import S3Store

from localmirror.backends._engines import Unfit
from localmirror.backends._s3_client import Address

if TYPE_CHECKING:
    from obstore.store import ClientConfig

# What obstore reads from the environment and no option overrules; botocore knows neither.
_OVERRULING = ("AWS_CHECKSUM_ALGORITHM", "AWS_SERVER_SIDE_ENCRYPTION")
# obstore follows HTTP_PROXY and ALL_PROXY in ways of its own unless it is given a proxy, be it one for no host.
_NO_PROXY: ClientConfig = {"proxy_url": "http://localhost", "proxy_excludes": "*,0.0.0.0/0,::/0"}
# Between two attempts, doubled each time: a few attempts then span as many seconds as botocore's.
_FIRST_PAUSE = timedelta(seconds=0.3)


def store(client: Any, bucket: str, where: Address, credentials: Callable[[], Any], more_seconds: int) -> S3Store:
    """Return a store for *bucket* that connects, waits and tries again as *client* does.

    A request may take *more_seconds* longer than *client* would wait for an answer. Raises Unfit where obstore cannot
    be told to do as the client does.
    """
    if any(name.upper() in _OVERRULING for name in os.environ):
        raise Unfit(f"obstore would follow {' and '.join(_OVERRULING)}, which boto3 does not")
    seconds = f"{client.meta.config.read_timeout + more_seconds}s"
    options: ClientConfig = {"user_agent": where.user_agent, "timeout": seconds, "read_timeout": seconds}
    options.update(_connection(client, where.url))
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
        client_options=options,
        retry_config={"max_retries": where.attempts - 1, "backoff": {"init_backoff": _FIRST_PAUSE}},
        credential_provider=credentials,
    )


def _connection(client: Any, url: str) -> ClientConfig:
    config = client.meta.config
    if config.client_cert or config.proxies_config:
        raise Unfit("obstore has neither client_cert nor proxies_config")
    scheme = url.partition(":")[0]
    proxies = get_environ_proxies(url) if config.proxies is None else config.proxies
    proxy = proxies.get(scheme)
    options: ClientConfig = {"allow_http": scheme == "http", "connect_timeout": f"{config.connect_timeout}s"}
    if proxy:
        options["proxy_url"] = proxy if "://" in proxy else f"http://{proxy}"
    else:
        options.update(_NO_PROXY)
    if scheme == "https":
        options.update(_tls(client))
    return options


def _tls(client: Any) -> ClientConfig:
    try:
        # botocore 1.44 says nowhere else what it has made of verify, AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE and ca_bundle.
        bundle = get_cert_path(client._endpoint.http_session._verify)
    except AttributeError:
        raise Unfit("this version of botocore does not tell which certificates it trusts") from None
    if not bundle:
        return {"allow_invalid_certificates": True}
    # Always given, also where it is the default one: obstore would refuse to start on a system without certificates.
    with open(bundle, "rb") as file:
        return {"root_certificate": file.read()}
