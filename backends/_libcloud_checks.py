"""System checks of what a driver of apache-libcloud cannot do."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured

from localmirror.backends._libcloud_provider import configured, family_of
from localmirror.conf import OPTIONS


def check_driver(cls: Any, alias: str, options: dict[str, Any]) -> list[CheckMessage]:
    """Return what is wrong with the driver that ``STORAGES[alias]``, of the class *cls*, uses; it is not built."""
    given = {name: value for name, value in options.items() if name not in OPTIONS}
    try:
        name = given.pop("provider_name", cls.provider_name)
        _, driver = configured(cls, name, given, cls.own_options)
    except ImproperlyConfigured:
        return []  # another check reports it
    family = family_of(driver)
    if family.unusable:
        return [
            Error(
                f"STORAGES[{alias!r}] uses libcloud's {driver.__name__}, which cannot be used: {family.unusable}.",
                hint="The provider speaks S3 as well: use localmirror.backends.s3 with its endpoint_url.",
                obj=cls,
                id="localmirror_libcloud.E001",
            )
        ]
    wanted = options.get("mirror_immutable_cache_control", cls.mirror_immutable_cache_control)
    if family.headers or cls.role == "media" or wanted is None:
        return []
    return [
        Warning(
            f"libcloud's {driver.__name__}, which STORAGES[{alias!r}] uses, sends no headers with a file: no "
            "Cache-Control for hashed names, no Content-Encoding for compressed ones.",
            hint="Set both in the web server or CDN, and 'mirror_immutable_cache_control': None in OPTIONS.",
            obj=cls,
            id="localmirror_libcloud.W001",
        )
    ]
