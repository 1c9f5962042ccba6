"""What apache-libcloud's errors mean: it has few classes for them, and puts the HTTP status into words."""

from __future__ import annotations

import re

import requests
from libcloud.common.exceptions import BaseHTTPError
from libcloud.common.types import InvalidCredsError, LibcloudError
from libcloud.storage.types import ContainerDoesNotExistError

UNAVAILABLE: tuple[type[BaseException], ...] = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


def status_of(error: BaseException) -> int:
    """Return the HTTP status that *error* speaks of, 0 if it names none."""
    if isinstance(error, BaseHTTPError):
        return int(error.code)
    found = re.search(r"[Cc]ode[:=] ?(\d{3})", str(error.value)) if isinstance(error, LibcloudError) else None
    return int(found[1]) if found else 0


def is_fatal(error: BaseException) -> bool:
    """Whether *error* is about credentials, container or network rather than one object."""
    if isinstance(error, InvalidCredsError):
        return "AccessDenied" not in str(error)  # which a policy may say of one name
    return isinstance(error, (ContainerDoesNotExistError, requests.ConnectionError)) or status_of(error) in (301, 404)


def describe(error: BaseException, container: str) -> str | None:
    """Return in one line what *error*, met in *container*, says; None if it is not one of libcloud's or Requests'."""
    if isinstance(error, ContainerDoesNotExistError) or status_of(error) == 404:
        return f"There is no container {container!r} (HTTP 404)."
    if isinstance(error, InvalidCredsError):
        told = re.findall(r"<(?:Code|Message)>([^<]*)<", str(error)) or [str(error.value)]
        return f"Access was refused: {': '.join(told)}"
    if isinstance(error, LibcloudError):
        return f"{type(error).__name__}: {error.value}"
    if isinstance(error, requests.RequestException):
        return re.sub(r"\?\S*", "", f"{type(error).__name__}: {error}")  # signatures are in the query
    return None
