"""What a name may be, and when a name promises its content."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import SuspiciousFileOperation

#: Directory of localmirror's own books, in the mirror and on the remote. Nobody else's names live under it.
RESERVED = ".localmirror"

#: What a web server needs to know of a file that is the compressed form of another one (RFC 9110, 8.4.1;
#: ``zstd``: RFC 8878).
SIBLING_ENCODINGS = {".gz": "gzip", ".br": "br", ".zst": "zstd"}

# A digest of at least 32 bits, in hexadecimal, standing alone between separators: Django puts 12 digits of MD5
# between dots, django-compressor 12 of SHA-256, bundlers 8 to 64 of something.
_DIGEST = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{8,128}(?![0-9A-Za-z])")

#: How hashing mixins put a digest into a name: before the last extension.
HASH_PART = re.compile(r"\.[0-9a-f]{8,64}(?=(?:\.[^./]*)?$)")

# User and password in an address (RFC 3986, 3.2.1).
_USER_INFO = re.compile(r"(?<=://)[^\s/?#]*@")

_ALGORITHMS = ("md5", "sha1", "sha256")


def clean_name(name: str | os.PathLike[str]) -> str:
    """Return *name* in the one spelling that both halves use: forward slashes, normalised, relative.

    Raises SuspiciousFileOperation for a name that leads outside (absolute, ``..``), that no file system can hold
    (NUL) or that belongs to localmirror itself (``.localmirror/`` in any case). The root is the empty string.
    """
    text = os.fspath(name).replace("\\", "/")
    if "\0" in text:
        raise SuspiciousFileOperation(f"The name {text!r} contains a NUL character.")
    clean = posixpath.normpath(text) if text else ""
    if clean == ".":
        return ""
    if clean == ".." or clean.startswith(("/", "../")):
        raise SuspiciousFileOperation(f"The name {text!r} leads outside the storage.")
    if is_reserved(clean):
        raise SuspiciousFileOperation(f"The name {text!r} is reserved: {RESERVED}/ holds localmirror's own files.")
    return clean


def clean_file_name(name: str | os.PathLike[str]) -> str:
    """Return *name* as `clean_name` does, for a file that is to be written.

    Raises SuspiciousFileOperation also for what can only name a directory: nothing, or a trailing slash.
    """
    clean = clean_name(name)
    if not clean or os.fspath(name).endswith(("/", "\\")):
        raise SuspiciousFileOperation(f"The name {os.fspath(name)!r} does not name a file.")
    return clean


def is_reserved(name: str) -> bool:
    """Whether *name* lies in localmirror's own directory, on file systems that fold case too."""
    return name.partition("/")[0].casefold() == RESERVED


def sibling_of(name: str) -> tuple[str, str] | None:
    """Return the name that *name* is a compressed form of, and its Content-Encoding, or None."""
    base, extension = posixpath.splitext(name)
    encoding = SIBLING_ENCODINGS.get(extension)
    return (base, encoding) if encoding and posixpath.basename(base) else None


def is_sibling(name: str, base: str) -> bool:
    """Whether *name* is a compressed form of *base*."""
    sibling = sibling_of(name)
    return sibling is not None and sibling[0] == base


def plain_name(name: str) -> str:
    """Return the name that *name* may be the hashed, or the compressed, form of."""
    sibling = sibling_of(name)
    return HASH_PART.sub("", sibling[0] if sibling else name)


class Digests:
    """The digests of one content, taken while it passes by: MD5, and more where the name wants to be checked."""

    def __init__(self, name: str) -> None:
        self._tokens = _DIGEST.findall(posixpath.basename(name))
        algorithms = _ALGORITHMS if self._tokens else _ALGORITHMS[:1]
        self._hashers = {a: hashlib.new(a, usedforsecurity=False) for a in algorithms}
        self.size = 0

    def update(self, chunk: bytes) -> None:
        self.size += len(chunk)
        for hasher in self._hashers.values():
            hasher.update(chunk)

    @property
    def md5(self) -> str:
        """MD5 in hexadecimal: what most object stores report in their listings."""
        return self._hashers["md5"].hexdigest()

    @property
    def named(self) -> bool:
        """Whether the name contains the digest of this very content, which makes it an immutable name."""
        found = [h.hexdigest() for h in self._hashers.values()]
        return any(digest.startswith(token) for token in self._tokens for digest in found)


def is_named_by(name: str, md5: str) -> bool:
    """Whether *name* contains the beginning of *md5*, the digest of its content."""
    return any(md5.startswith(token) for token in _DIGEST.findall(posixpath.basename(name)))


def may_be_immutable(name: str) -> bool:
    """Whether *name* looks as if it contained a digest; only its content can tell whether it is true."""
    return _DIGEST.search(posixpath.basename(name)) is not None


def digests_of_file(name: str, path: str) -> Digests:
    """Return the digests of the file at *path*, known as *name*."""
    digests = Digests(name)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 18):
            digests.update(chunk)
    return digests


def first_line(error: BaseException) -> str:
    """Return one line that says what went wrong, fit for a list of failures.

    A line that ends with a colon says nothing yet: the next one goes with it.
    """
    said = ""
    for line in str(error).splitlines():
        said = f"{said} {line.strip()}".strip()
        if said and not said.endswith(":"):
            break
    return said or type(error).__name__


def printable(name: str) -> str:
    """Return *name* with what would break a line, or not be seen, written as in a literal of Python."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def redact(text: str, secrets: Mapping[str, Any]) -> str:
    """Return *text* without any of the values of *secrets* that occur in it, or who logs in at an address."""
    text = _USER_INFO.sub("", text)
    for value in secrets.values():
        if isinstance(value, str) and len(value) >= 4:
            text = text.replace(value, "***")
    return text
