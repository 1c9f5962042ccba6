"""Files of a storage on local disk, past its own way of telling and of replacing them."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage

from localmirror.backends._told import temporary_name
from localmirror.remote import RemoteFile


def file_on_disk(name: str, path: str) -> RemoteFile | None:
    """Return what there is to say of the file at *path*, known as *name*, None if it is no file."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return RemoteFile(name, found.st_size, None, datetime.fromtimestamp(found.st_mtime, UTC))


def replace_on_disk(storage: FileSystemStorage, name: str, content: File[bytes]) -> str:
    """Save *content* as *name* in one step; the storage's own way of overwriting writes in place, and through links."""
    temporary = storage.save(temporary_name(name), content)
    try:
        os.replace(storage.path(temporary), storage.path(name))
    except BaseException:
        storage.delete(temporary)
        raise
    return name
