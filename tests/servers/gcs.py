"""Google Cloud Storage by gcp-storage-emulator, mended where it differs from the service.

What is mended, as of its version 2026.7.19: links to the content are percent-encoded and keep to the host
that was asked; answers with content carry Cache-Control, Content-Encoding and the generation, and gzipped content
is unpacked for clients that do not accept gzip; listings come in pages; ``ifGenerationMatch`` is obeyed; requests are
answered in threads, and bodies are read exactly.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import io
import json
import sys
import threading
from functools import partial
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from .base import HOST, ProcessServer, Server

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def _missing() -> str | None:
    if importlib.util.find_spec("gcp_storage_emulator") is None:
        return "gcp-storage-emulator is not installed: pip install gcp-storage-emulator"
    return None


class GcsInProcess(Server):
    """The emulator in threads of this process."""

    name = "gcs"

    @classmethod
    def available(cls) -> str | None:
        return _missing()

    def start(self) -> Self:
        self._server = make_server(0)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="gcs", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Gcs(ProcessServer):
    """The emulator in a process of its own."""

    name = "gcs"

    @classmethod
    def available(cls) -> str | None:
        return _missing()

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.servers.gcs", "--port", str(self.port)]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "PYTHONPATH": str(REPOSITORY)}


def make_server(port: int) -> ThreadingHTTPServer:
    """Return the mended emulator, bound to ``port`` of 127.0.0.1, ready for ``serve_forever()``."""
    from gcp_storage_emulator import server as emulator
    from gcp_storage_emulator.handlers import objects
    from gcp_storage_emulator.storage import Storage

    class Handler(emulator.RequestHandler):  # type: ignore[misc,name-defined]
        lock = threading.Lock()

        def _handle(self, method: str) -> None:
            # The body is read, and the answer sent, outside the lock: a slow client holds nobody up.
            body = emulator._read_raw_data(self) or b""
            connection, wire = self.rfile, self.wfile
            self.rfile, self.wfile = io.BytesIO(body), io.BytesIO()
            del self.headers["Transfer-Encoding"], self.headers["Content-Length"]
            self.headers["Content-Length"] = str(len(body))
            with self.lock:
                emulator.Router(self).handle(method)
            answer = self.wfile.getvalue()
            self.rfile, self.wfile = connection, wire
            self.wfile.write(answer)

        def do_GET(self) -> None:
            self._handle("GET")

        def do_POST(self) -> None:
            self._handle("POST")

        def do_PUT(self) -> None:
            self._handle("PUT")

        def do_PATCH(self) -> None:
            self._handle("PATCH")

        def do_DELETE(self) -> None:
            self._handle("DELETE")

        def log_message(self, format: str, *args: object) -> None:
            pass

    for name in ("download", "ls", "insert", "delete"):
        original = getattr(objects, name)
        mended = getattr(sys.modules[__name__], f"_{name}")
        _replace_handler(emulator, original, partial(mended, original))
    emulator.Response = _linking(emulator.Response)
    emulator._read_data = partial(_read_data, emulator._read_data)

    class QuietServer(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    return QuietServer((HOST, port), partial(Handler, Storage(use_memory_fs=True)))


def _replace_handler(emulator: Any, original: Any, mended: Any) -> None:
    emulator.HANDLERS = tuple(
        (
            pattern,
            {method: mended if handler is original else handler for method, handler in handlers.items()},
        )
        for pattern, handlers in emulator.HANDLERS
    )


def _linking(response_class: Any) -> Any:
    """Return a response class whose links lead to where the client has asked, which may be a proxy."""

    class Response(response_class):  # type: ignore[misc]
        def json(self, answer: Any) -> None:
            host = self._handler.headers["Host"]
            for resource in [answer, *(answer.get("items") or [])]:
                if resource.get("kind") == "storage#object":
                    path = f"/download/storage/v1/b/{resource['bucket']}/o/{quote(resource['name'], safe='')}"
                    query = f"generation={resource['generation']}&alt=media"
                    resource["mediaLink"] = f"http://{host}{path}?{query}"
            super().json(answer)

    return Response


def _read_data(original: Any, handler: Any, query: Any) -> Any:
    """Read a multipart upload by its boundary: the mail parser used there rewrites line ends at the edges."""
    kind = handler.headers.get("Content-Type", "")
    if not kind.startswith("multipart/related"):
        return original(handler, query)
    from email.message import Message
    from email.parser import BytesParser

    message = Message()
    message["Content-Type"] = kind
    boundary = b"--" + str(message.get_param("boundary")).encode()
    body = handler.rfile.read(int(handler.headers["Content-Length"]))
    _, described, rest = body.split(boundary, 2)
    content = rest[: rest.rindex(b"\r\n" + boundary + b"--")]
    head, _, content = content.lstrip(b"\r\n").partition(b"\r\n\r\n")
    return {
        "meta": json.loads(described.partition(b"\r\n\r\n")[2]),
        "content": content,
        "content-type": BytesParser().parsebytes(head + b"\r\n\r\n").get("Content-Type"),
    }


def _download(original: Any, request: Any, response: Any, storage: Any, *args: Any, **kwargs: Any) -> None:
    original(request, response, storage, *args, **kwargs)
    if response.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        return
    stored = storage.get_file_obj(request.params["bucket_name"], request.params["object_id"])
    response["X-Goog-Generation"] = stored["generation"]
    if stored.get("cacheControl"):
        response["Cache-Control"] = stored["cacheControl"]
    encoding = stored.get("contentEncoding")
    if not encoding:
        return
    response["X-Goog-Stored-Content-Encoding"] = encoding
    if encoding == "gzip" and "gzip" not in request.get_header("Accept-Encoding", ""):
        response._content = gzip.decompress(response._content)
    else:
        response["Content-Encoding"] = encoding


def _ls(original: Any, request: Any, response: Any, storage: Any, *args: Any, **kwargs: Any) -> None:
    original(request, response, storage, *args, **kwargs)
    if response.status != HTTPStatus.OK:
        return
    answer = json.loads(response._content)
    size = min(int(request.query.get("maxResults", ["1000"])[0]), 1000)
    after = request.query.get("pageToken", [""])[0]
    first = request.query.get("startOffset", [""])[0]
    items = {item["name"]: item for item in answer["items"] or []}
    names = sorted({*items, *(answer["prefixes"] or [])}, key=lambda name: name.encode())
    names = [name for name in names if name.encode() > after.encode() and name.encode() >= first.encode()]
    page = names[:size]
    answer["items"] = [items[name] for name in page if name in items]
    answer["prefixes"] = [name for name in page if name not in items]
    if len(names) > size:
        answer["nextPageToken"] = page[-1]
    response.json(answer)


def _insert(original: Any, request: Any, response: Any, storage: Any, *args: Any, **kwargs: Any) -> None:
    wanted = request.query.get("ifGenerationMatch", [None])[0]
    if wanted is not None and "upload_id" not in request.query:
        name = request.query.get("name", [None])[0]
        if name is None:
            data = request.data
            name = (data.get("meta") or data)["name"]
        if not _agrees(storage, request.params["bucket_name"], name, wanted):
            _refuse(response)
            return
    original(request, response, storage, *args, **kwargs)


def _delete(original: Any, request: Any, response: Any, storage: Any, *args: Any, **kwargs: Any) -> None:
    wanted = request.query.get("ifGenerationMatch", [None])[0]
    if wanted is not None and not _agrees(storage, *request.params.values(), wanted):
        _refuse(response)
        return
    original(request, response, storage, *args, **kwargs)


def _agrees(storage: Any, bucket: str, name: str, wanted: str) -> bool:
    from gcp_storage_emulator.exceptions import NotFound

    try:
        return bool(storage.get_file_obj(bucket, name)["generation"] == wanted)
    except NotFound:
        return wanted == "0"


def _refuse(response: Any) -> None:
    response.status = HTTPStatus.PRECONDITION_FAILED
    message = "At least one of the pre-conditions you specified did not hold."
    response.json({"error": {"code": 412, "message": message, "errors": [{"reason": "conditionNotMet"}]}})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.servers.gcs")
    parser.add_argument("--port", type=int, required=True)
    make_server(parser.parse_args().port).serve_forever()
