"""Which provider of apache-libcloud a storage is configured for, and what is known of its driver (libcloud 3.9.1)."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from libcloud.storage.providers import get_driver
from libcloud.storage.types import Provider

#: The keys of a provider that are not arguments of its driver.
NOT_FOR_DRIVER = ("type", "user", "key", "bucket")


@dataclass(frozen=True, slots=True)
class Family:
    """What drivers of one kind have in common.

    *headers*: they send the headers that they are given. *by_name*: a container and an object are found by their
    names alone. *lists_prefix*: the provider filters a listing by prefix. *user_is_place*: the user name says where
    the files are. *unusable* says why a driver cannot be used.
    """

    headers: bool = False
    by_name: bool = False
    lists_prefix: bool = False
    user_is_place: bool = False
    unusable: str | None = None


_FAMILIES = {
    "BaseS3StorageDriver": Family(headers=True, by_name=True, lists_prefix=True),
    "AzureBlobsStorageDriver": Family(headers=True, by_name=True, lists_prefix=True, user_is_place=True),
    "LocalStorageDriver": Family(user_is_place=True),
    "CloudFilesStorageDriver": Family(headers=True, lists_prefix=True),
    "BackblazeB2StorageDriver": Family(unusable="it lists no more than the first 100 objects"),
    "OSSStorageDriver": Family(unusable="its downloads never end"),
}


def is_kind(driver: type, name: str) -> bool:
    """Whether *driver* is, or derives from, the driver class *name*; asked by name, so that no driver is imported."""
    return any(cls.__name__ == name for cls in driver.__mro__)


def family_of(driver: type) -> Family:
    """Return what is known of a driver class."""
    return next((family for name, family in _FAMILIES.items() if is_kind(driver, name)), Family())


def configured(
    storage: type, name: str | None, options: Mapping[str, Any], own: tuple[str, ...]
) -> tuple[dict[str, Any], type]:
    """Return the settings of a provider and its driver class: *options* alone, or over an entry of LIBCLOUD_PROVIDERS.

    *own* are options of the storage itself. Raises ImproperlyConfigured for what is missing, unknown to libcloud or
    misspelt.
    """
    provider = {key: value for key, value in options.items() if key not in own}
    if "type" not in options:
        name = name or getattr(settings, "DEFAULT_LIBCLOUD_PROVIDER", "default")
        providers = getattr(settings, "LIBCLOUD_PROVIDERS", {})
        if name not in providers:
            raise ImproperlyConfigured(
                f"{storage.__name__}: LIBCLOUD_PROVIDERS has no {name!r}, and the options name no 'type' of provider."
            )
        provider = {**providers[name], **provider}
    for needed in ("type", "user", "bucket"):
        if not provider.get(needed):
            raise ImproperlyConfigured(f"{storage.__name__}: the provider has no {needed!r}.")
    try:
        driver = _driver_class(provider["type"])
    except (AttributeError, ImportError) as error:
        raise ImproperlyConfigured(
            f"{storage.__name__}: libcloud's driver {provider['type']!r} cannot be had: {error}"
        ) from error
    _check_spelling(storage, driver, provider.keys(), own)
    return provider, driver


def _driver_class(provider: str) -> type:
    """Return the driver class for ``"libcloud.storage.types.Provider.S3"``, ``"S3"`` or a registered name."""
    tag = str(provider).rpartition(".")[2]
    found: type = get_driver(getattr(Provider, tag.upper(), tag))
    return found


def _check_spelling(storage: type, driver: type, given: Any, own: tuple[str, ...]) -> None:
    # A driver may take more than its signature says, and most swallow what they do not know.
    known = {*NOT_FOR_DRIVER, *own, "provider_name"}
    for cls in driver.__mro__:
        known.update(inspect.signature(cls.__dict__["__init__"]).parameters if "__init__" in cls.__dict__ else ())
    for option in set(given) - known:
        close = difflib.get_close_matches(option, known, n=1, cutoff=0.8)
        if close and not option.startswith("ex_"):
            raise ImproperlyConfigured(f"{storage.__name__} has no option {option!r}. Did you mean {close[0]!r}?")
