"""What apache-libcloud's errors mean: it has few classes for them, and puts the HTTP status into words."""

from __future__ import annotations

import re

import requests
from libcloud.common.exceptions import BaseHTTPError
from libcloud.common.types import InvalidCredsError, LibcloudError
from libcloud.storage.types import ContainerDoesNotExistError

from localmirror.backends._libcloud_provider import is_kind

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
    if isinstance(error, (ContainerDoesNotExistError, requests.ConnectionError)):
        return True
    # Azure refuses an account or a container, never a name alone.
    on_azure = isinstance(error, LibcloudError) and is_kind(type(error.driver), "AzureBlobsStorageDriver")
    return status_of(error) in ((301, 401, 403, 404) if on_azure else (301, 404))


def describe(error: BaseException, container: str) -> str | None:
    """Return in one line what *error*, met in *container*, says; None if it is not one of libcloud's or Requests'."""
    if isinstance(error, ContainerDoesNotExistError) or status_of(error) == 404:
        return f"There is no container {container!r} (HTTP 404)."
    if isinstance(error, InvalidCredsError):
        told = re.findall(r"<(?:Code|Message)>([^<]*)<", str(error)) or [str(error.value or "")]
        return f"Access was refused: {': '.join(told) or 'the provider does not say why'}"
    if status_of(error) in (401, 403):
        return f"Access was refused: HTTP {status_of(error)}"
    if isinstance(error, LibcloudError):
        return f"{type(error).__name__}: {error.value}"
    if isinstance(error, requests.RequestException):
        return re.sub(r"\?\S*", "", f"{type(error).__name__}: {error}")  # signatures are in the query
    return None
