"""Reading whatever a caller hands to ``save()``: one stream of bytes, whatever its kind."""

from __future__ import annotations

import io
import mimetypes
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from django.core.files.base import File

CHUNK_SIZE = 1 << 18


def rewind(content: Any) -> None:
    """Move *content* to its beginning if it can seek; leave a stream where it stands."""
    try:
        # Django's File asks what it wraps whether it is closed, which a bare reader cannot tell.
        if not hasattr(content, "seekable") or content.seekable():
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
    # For reading, whatever it was open for: "wb" would empty it.
    reopen(mode="rb") if isinstance(content, File) else reopen()
    try:
        yield content
    finally:
        content.close()


def byte_chunks(content: Any) -> Iterator[bytes]:
    """Yield all of *content* as bytes, in pieces, from its beginning where it can seek.

    Text is encoded as UTF-8, which is what Django's own FileSystemStorage writes. Raises whatever reading raises, and
    BlockingIOError for a stream that does not wait for what is still to come.
    """
    with reopened(content) as file:
        rewind(file)
        while piece := file.read(CHUNK_SIZE):
            yield piece.encode("utf-8") if isinstance(piece, str) else bytes(piece)
        if piece is None:
            raise BlockingIOError("The content has no data at the moment: give a stream that waits for it.")


def written_by(read_into: Callable[[str, IO[bytes]], object], name: str) -> File[bytes]:
    """Return what *read_into* writes of the file *name*, open at its beginning: in memory if it is small."""
    file = tempfile.SpooledTemporaryFile(max_size=CHUNK_SIZE)  # noqa: SIM115 - the caller closes it
    read_into(name, file)
    file.seek(0)
    return File(file, name)


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
