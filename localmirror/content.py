"""Reading whatever a caller hands to ``save()``: one stream of bytes, whatever its kind."""

from __future__ import annotations

import io
import mimetypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.files.base import File

CHUNK_SIZE = 1 << 18


def rewind(content: Any) -> None:
    """Move *content* to its beginning if it can seek; leave a stream where it stands."""
    seekable = getattr(content, "seekable", None)
    if seekable is not None and not seekable():
        return
    try:
        content.seek(0)
    except (AttributeError, io.UnsupportedOperation):
        return


@contextmanager
def reopened(content: Any) -> Iterator[Any]:
    """Give *content* open: a closed file that knows how to open itself again is opened, and closed afterwards."""
    reopen = getattr(content, "open", None)
    if not getattr(content, "closed", False) or reopen is None:
        yield content
        return
    reopen()
    try:
        yield content
    finally:
        content.close()


def byte_chunks(content: Any) -> Iterator[bytes]:
    """Yield all of *content* as bytes, in pieces, from its beginning where it can seek.

    Text is encoded as UTF-8, which is what Django's own FileSystemStorage writes. Raises whatever reading raises.
    """
    with reopened(content) as file:
        rewind(file)
        while piece := file.read(CHUNK_SIZE):
            yield piece.encode("utf-8") if isinstance(piece, str) else bytes(piece)


class SpooledContent(File):  # type: ignore[type-arg]
    """A file on local disk that stands in for the caller's content when the remote reads it.

    It can seek, knows its size without asking, carries the ``content_type`` of what it stands for and tells in
    ``path`` where the bytes lie, for SDKs that stream best from there.
    """

    content_type: str | None = None
    content_encoding: str | None = None

    def __init__(self, file: Any, name: str, path: str, size: int, content_type: str | None = None) -> None:
        super().__init__(file, name)
        self.path = path
        self.size = size
        self.content_type = content_type

    def stand_for(self, plain_name: str, encoding: str) -> None:
        """Have it served as *plain_name* would be, with this Content-Encoding."""
        self.content_type = mimetypes.guess_type(plain_name)[0] or "application/octet-stream"
        self.content_encoding = encoding
