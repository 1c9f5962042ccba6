"""Commands of FTP that take more than one line."""

from __future__ import annotations

import ftplib
import posixpath
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from django.core.files.base import File

from localmirror.content import CHUNK_SIZE, rewind


def store(ftp: ftplib.FTP, name: str, content: File[bytes]) -> None:
    """Write all of *content* to *name*."""
    rewind(content)
    ftp.storbinary(f"STOR {name}", content, CHUNK_SIZE)


def store_with_directories(ftp: ftplib.FTP, name: str, content: File[bytes]) -> None:
    """Write all of *content* to *name*, in directories that need not be there."""
    try:
        store(ftp, name, content)
    except ftplib.error_perm:
        make_directories(ftp, posixpath.dirname(name))
        store(ftp, name, content)


def rename(ftp: ftplib.FTP, temporary: str, name: str, content: File[bytes]) -> None:
    """Rename *temporary*, which holds *content*, or write to *name* where the server does not rename over a file."""
    try:
        ftp.rename(temporary, name)
    except ftplib.error_perm:
        ftp.delete(temporary)
        store(ftp, name, content)


def make_directories(ftp: ftplib.FTP, path: str) -> None:
    """Make the directory *path* and those above it, as far as they are missing."""
    parts = path.split("/")
    for end in range(1, len(parts) + 1):
        with suppress(ftplib.error_perm):  # most are there already, and STOR tells about the others
            ftp.mkd("/".join(parts[:end]))


def modified(ftp: ftplib.FTP, name: str) -> datetime | None:
    """Return when *name* was modified, None if the server does not tell (RFC 3659, 3)."""
    try:
        return _moment(ftp.voidcmd(f"MDTM {name}").split()[1])
    except ftplib.error_perm:
        return None


def _moment(told: str | None) -> datetime | None:
    return datetime.strptime(told[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC) if told else None


def listed(ftp: ftplib.FTP, path: str) -> Iterator[tuple[str, bool, int, datetime | None]]:
    """List a directory for a program (RFC 3659, 7)."""
    for name, facts in ftp.mlsd(path):
        if facts["type"] in ("file", "dir"):
            yield name, facts["type"] == "dir", int(facts.get("size", 0)), _moment(facts.get("modify"))


def listed_for_people(ftp: ftplib.FTP, path: str) -> Iterator[tuple[str, bool, int, datetime | None]]:
    """List a directory as ``ls -l`` does, on servers that know nothing better; it hides times, and often dot files."""
    lines: list[str] = []
    ftp.retrlines(f"LIST {path}".strip(), lines.append)
    for words in (line.split(None, 8) for line in lines):
        if len(words) == 9 and words[0][0] in "-d" and words[8] not in (".", ".."):
            yield words[8], words[0][0] == "d", int(words[4]), None
