"""What a CDN is to a browser: an origin of its own that passes on what the bucket answers."""

from __future__ import annotations

from collections.abc import Iterable
from http.client import HTTPConnection
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: What the bucket gets to see of a browser's headers: on CloudFront, an origin request policy for CORS.
ASKED = {"HTTP_ORIGIN": "Origin", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "Access-Control-Request-Method"}
#: And the browser of the bucket's, besides those that begin with Access-Control.
ANSWERED = {"cache-control", "content-encoding", "content-type", "etag", "last-modified"}


def cdn(endpoint: str, bucket: str) -> WSGIApplication:
    """Return a WSGI application that serves the objects of *bucket*, which everybody may read, at ``/``.

    Like most CDNs in front of a bucket it takes no notice of queries.
    """
    address = urlsplit(endpoint).netloc

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = quote(environ["PATH_INFO"].encode("latin-1"))
        asked = {name: environ[key] for key, name in ASKED.items() if key in environ}
        connection = HTTPConnection(address, timeout=30)
        try:
            connection.request(environ["REQUEST_METHOD"], f"/{bucket}{path}", headers=asked)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        headers = [
            (name, value)
            for name, value in answer.getheaders()
            if name.lower() in ANSWERED or name.lower().startswith("access-control-")
        ]
        start_response(f"{answer.status} {answer.reason}", [*headers, ("Content-Length", str(len(body)))])
        return [body]

    return app
