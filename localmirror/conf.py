"""The options of a mirrored storage: their names, their defaults, and the one door through which they come in."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

#: Cache-Control of immutable names: a year, and never asked for again (RFC 9111, 5.2.2; RFC 8246).
IMMUTABLE_CACHE_CONTROL = "public, max-age=31536000, immutable"

#: Parallel transfers of a publish. Measured with a deployment of 6,002 objects (163 MB) at 30 ms a request to `rclone
#: serve s3`, through obstore: 7.4 s and 155 MB of memory with 32, 4.7 s and 164 MB with 64, 3.9 s and 180 MB with 128,
#: 3.3 s and 187 MB with 192. Each costs a connection; macOS allows a process 256 open files and connections by default.
DEFAULT_WORKERS = 128

OPTIONS: Mapping[str, Any] = {
    "mirror_location": None,
    "mirror_publish": "all",
    "mirror_workers": DEFAULT_WORKERS,
    "mirror_max_age": 60,
    "mirror_manifest": "remote",
    "mirror_release": None,
    "mirror_engine": "auto",
    "mirror_on_error": "raise",
    "mirror_immutable_cache_control": IMMUTABLE_CACHE_CONTROL,
}

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "mirror_publish": ("all", "hashed"),
    "mirror_manifest": ("remote", "local"),
    "mirror_engine": ("auto", "storage"),
    "mirror_on_error": ("raise", "log"),
}


def take_options(storage: type, given: dict[str, Any]) -> dict[str, Any]:
    """Remove the mirror's own options from *given* and return them.

    Raises ImproperlyConfigured for a misspelt option, naming the class and the right spelling.
    """
    taken = {name: given.pop(name) for name in list(given) if name in OPTIONS}
    for name in given:
        close = difflib.get_close_matches(name, OPTIONS, n=1, cutoff=0.8)
        if close or name.startswith("mirror_"):
            hint = f" Did you mean {close[0]!r}?" if close else f" The mirror's options are {', '.join(OPTIONS)}."
            raise ImproperlyConfigured(f"{storage.__name__} has no option {name!r}.{hint}")
    return taken


def check_attributes(storage: type) -> None:
    """Raise ImproperlyConfigured if the body of the class *storage* sets an option of the mirror that there is not."""
    given = {name: value for name, value in vars(storage).items() if name.startswith("mirror_")}
    take_options(storage, {name: value for name, value in given.items() if not _is_code(value)})


def _is_code(value: Any) -> bool:
    return callable(value) or hasattr(value, "__get__")


def check_value(storage: object, name: str) -> Any:
    """Return the value of option *name* of *storage*, or raise ImproperlyConfigured with what it may be."""
    value = getattr(storage, name)
    owner = type(storage).__name__
    if name in _CHOICES and value not in _CHOICES[name]:
        choices = " or ".join(repr(choice) for choice in _CHOICES[name])
        raise ImproperlyConfigured(f"{owner}: {name} is {value!r}; it must be {choices}.")
    if name == "mirror_workers" and (not isinstance(value, int) or value < 1):
        raise ImproperlyConfigured(f"{owner}: mirror_workers is {value!r}; it must be a whole number from 1.")
    if name == "mirror_max_age" and value is not None and (not isinstance(value, int | float) or value < 0):
        raise ImproperlyConfigured(f"{owner}: mirror_max_age is {value!r}; it must be seconds from 0, or None.")
    if name == "mirror_release" and value is not None and not is_release_id(value):
        raise ImproperlyConfigured(
            f"{owner}: mirror_release is {value!r}: letters, digits, '.', '_' and '-' may be in it, a commit hash say."
        )
    return value


def is_release_id(value: object) -> bool:
    """Whether *value* can name a release: one path component of plain characters that does not begin with a dot."""
    plain = isinstance(value, str) and value.replace(".", "").replace("_", "").replace("-", "")
    return bool(plain) and str(plain).isascii() and str(plain).isalnum() and not str(value).startswith(".")


def mirror_location(storage: object) -> str:
    """Return the directory of the mirror of *storage*, from its option or from the setting of its role.

    Raises ImproperlyConfigured, naming both, where neither is set.
    """
    location = getattr(storage, "mirror_location", None)
    setting = getattr(storage, "mirror_location_setting", None)
    if not location and setting:
        location = getattr(settings, setting, None)
    if not location:
        instead = f" or the setting {setting}" if setting else ""
        raise ImproperlyConfigured(
            f"{type(storage).__name__} has no mirror directory: set its option 'mirror_location'{instead}."
        )
    if not isinstance(location, str | os.PathLike):
        raise ImproperlyConfigured(
            f"{type(storage).__name__}: mirror_location is {location!r}; it must be the path of a directory."
        )
    return str(Path(location))
