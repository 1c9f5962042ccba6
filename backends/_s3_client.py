"""Where and how a client of boto3 would send requests: asked of the client itself, without sending any."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

from localmirror.backends._engines import Unfit

# What every request of botocore carries; anything else was added by somebody.
_HEADERS = re.compile(r"user-agent|authorization|amz-sdk-.*|x-amz-(date|content-sha256|security-token)", re.IGNORECASE)
_SCOPE = re.compile(r"AWS4-HMAC-SHA256 Credential=.*/\d{8}/([^/]+)/s3/aws4_request,")
_EVENT = "before-send.s3.ListObjectsV2"


class Address(NamedTuple):
    """Where the objects of a bucket lie: the URL that keys are put behind, and the region that signatures name."""

    url: str
    region: str
    user_agent: str
    attempts: int


class _Seen(Exception):
    pass


def address(client: Any, bucket: str) -> Address:
    """Return where *client* would send its requests. Raises Unfit if they are more than plain signed ones."""
    if bucket.endswith("--x-s3"):
        raise Unfit("the bucket is an S3 Express one")
    if any(_is_foreign(handler) for handler in _handlers(client)):
        raise Unfit("somebody listens to what boto3 sends")

    request = _request(client, bucket)
    headers = {name: value if isinstance(value, str) else value.decode() for name, value in request.headers.items()}
    added = sorted(name for name in headers if not _HEADERS.fullmatch(name))
    if added:
        raise Unfit(f"boto3 would send {', '.join(added)} too")
    scope = _SCOPE.match(headers.get("Authorization", ""))
    if scope is None:
        raise Unfit("boto3 does not sign with version 4 of AWS's signatures")
    # Only in its newer retry modes does botocore say how often it tries; in the oldest one it is five times.
    told = re.search(r"max=(\d+)", headers.get("amz-sdk-request", ""))
    attempts = told[1] if told else (client.meta.config.retries or {}).get("total_max_attempts", 5)
    return Address(request.url.partition("?")[0].rstrip("/"), scope[1], headers["User-Agent"], int(attempts))


def _request(client: Any, bucket: str) -> Any:
    here = threading.get_ident()

    def see(request: Any, **_: Any) -> None:
        if threading.get_ident() == here:
            raise _Seen(request)

    client.meta.events.register_first(_EVENT, see)
    try:
        client.list_objects_v2(Bucket=bucket)
    except _Seen as seen:
        return seen.args[0]
    finally:
        client.meta.events.unregister(_EVENT, see)
    raise Unfit("boto3 does not show what it sends")


def _handlers(client: Any) -> Iterator[Any]:
    try:
        nodes = [client.meta.events._emitter._handlers._root]  # botocore 1.44 has no other way to ask
    except AttributeError:
        raise Unfit("this version of botocore does not tell who listens to it") from None
    while nodes:
        node = nodes.pop()
        nodes.extend(node["children"].values())
        for section in node["values"] or ():
            yield from section


def _is_foreign(handler: Any) -> bool:
    module = getattr(handler, "__module__", None) or type(handler).__module__
    # moto leaves a handler behind that sleeps unless one of its mocks is in force.
    return module.partition(".")[0] not in ("boto3", "botocore") and bool(getattr(handler, "enabled", True))
