"""What a blob may be called."""

from __future__ import annotations

import re

from django.core.exceptions import SuspiciousFileOperation

# https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
_LONGEST_NAME = 1024
_MOST_SEGMENTS = 254
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
_DOT_AT_END = re.compile(r"\.(?=/|$)")


def check_path(path: str) -> None:
    """Raise SuspiciousFileOperation for a *path* that Azure refuses, or would silently change."""
    if not path or len(path) > _LONGEST_NAME or path.count("/") >= _MOST_SEGMENTS:
        limits = f"1 to {_LONGEST_NAME} characters and {_MOST_SEGMENTS - 1} directories"
        raise SuspiciousFileOperation(f"Azure cannot store a blob named {path!r}: it allows {limits}.")
    if _DOT_AT_END.search(path) or _UNFIT.search(path):
        raise SuspiciousFileOperation(
            f"Azure cannot store a blob named {path!r}: no directory and no file may end with a dot, which the service "
            "would drop, or contain control characters."
        )
