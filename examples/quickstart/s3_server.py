"""An S3 server on 127.0.0.1 for as long as it is needed: moto, and before it a layer that counts and can refuse."""

from __future__ import annotations

import fnmatch
import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.request import urlopen

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wsgi import get_input_stream

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: moto takes any; boto3 wants some.
CREDENTIALS = {"aws_access_key_id": "demo-access-key", "aws_secret_access_key": "demo-secret-key"}

_REFUSAL = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessDenied</Code><Message>This upload is broken on purpose</Message></Error>"""


class Gate:
    """WSGI middleware that counts S3 requests by kind, and refuses to store names that match `refused`."""

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app
        self.refused: str | None = None
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method, (_, _, name) = environ["REQUEST_METHOD"], environ["PATH_INFO"].lstrip("/").partition("/")
        with self._lock:
            self._counts["LIST" if method == "GET" and not name else method] += 1
        if method == "PUT" and self.refused and fnmatch.fnmatchcase(name, self.refused):
            get_input_stream(environ).read()  # a client whose body nobody reads sees a broken connection instead
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [_REFUSAL]
        return self.app(environ, start_response)

    def take_counts(self) -> Counter[str]:
        """Return how many requests of each kind there were since the last call."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return counts


class S3:
    """One bucket on the running server, as somebody looks at it who is not the one that deploys."""

    def __init__(self, endpoint: str, bucket: str, gate: Gate) -> None:
        self.endpoint = endpoint
        self.bucket = bucket
        self.gate = gate
        self._client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **CREDENTIALS)
        self._client.create_bucket(Bucket=bucket)
        # Visitors may read every object but not list them; the same policy does it on AWS.
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        self._client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))

    def names(self) -> set[str]:
        """Return the names of all objects in the bucket."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {entry["Key"] for page in pages for entry in page.get("Contents", ())}

    def read(self, name: str) -> bytes:
        """Return an object as a visitor gets it: by its address, without credentials."""
        with urlopen(f"{self.endpoint}/{self.bucket}/{name}", timeout=30) as response:
            content: bytes = response.read()
        return content


class _QuietHandler(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing of a request that was answered."""


@contextmanager
def serving(app: WSGIApplication) -> Iterator[str]:
    """Serve *app* on a free port of 127.0.0.1, in threads of this process, and give its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_QuietHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def s3_server(bucket: str) -> Iterator[S3]:
    """Run an S3 server, in memory, with one bucket that everybody may read."""
    gate = Gate(DomainDispatcherApplication(create_backend_app))
    with serving(gate) as endpoint:
        yield S3(endpoint, bucket, gate)
