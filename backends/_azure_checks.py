"""System checks of what only Azure's storage can be told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error
from storages.utils import setting


def check_signatures(cls: Any, alias: str, options: dict[str, Any]) -> Iterator[CheckMessage]:
    """Report signed URLs for static files, which a class stacked by hand on AzureStorage may be set to."""
    default = getattr(cls, "expiration_secs", setting("AZURE_URL_EXPIRATION_SECS"))
    if cls.role == "static" and options.get("expiration_secs", default):
        yield Error(
            f"STORAGES[{alias!r}] holds static files and has expiration_secs set: signed URLs expire, and break CSS.",
            hint=f"Add to STORAGES[{alias!r}]['OPTIONS']: 'expiration_secs': None",
            obj=cls,
            id="localmirror.E004",
        )
