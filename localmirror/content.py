"""Reading whatever a caller hands to ``save()``: one stream of bytes, whatever its kind."""

from __future__ import annotations

import io
import mimetypes
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from django.core.files.base import File

CHUNK_SIZE = 1 << 18


def rewind(content: Any) -> None:
    """Move *content* to its beginning if it can seek; leave a stream where it stands."""
    try:
        can_seek = content.seekable()
    except AttributeError:
        # Django's File asks what it wraps whether it is closed, which a bare reader cannot tell.
        can_seek = True
    if can_seek:
        with suppress(AttributeError, io.UnsupportedOperation):
            content.seek(0)


@contextmanager
def reopened(content: Any) -> Iterator[Any]:
    """Give *content* open: a closed file that knows how to open itself again is opened, and closed afterwards.

    Raises ValueError for one that does not.
    """
    if not getattr(content, "closed", False) or not hasattr(content, "open"):
        yield content
        return
    opened = _opened_again(content)
    try:
        yield opened
    finally:
        opened.close()


def _opened_again(content: Any) -> Any:
    if not isinstance(content, File):
        content.open()
        return content
    # For reading, whatever it was open for: "wb" would empty it.
    if type(content).open is not File.open:
        content.open(mode="rb")
        return content
    # Django's own File would open whatever has its name in the working directory, be that another file altogether.
    path = getattr(content.file, "name", None)
    if not isinstance(path, str) or not os.path.exists(path):
        raise ValueError(f"The content {content.name!r} is closed, and cannot be opened again.")
    return open(path, "rb")


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
