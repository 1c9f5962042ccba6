"""System checks of mirrored storages: what cannot work, and what is probably not meant. They make no request."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from localmirror.cached import CachedFilesMixin, cache_alias
from localmirror.names import redact
from localmirror.offline import offline

if TYPE_CHECKING:
    from localmirror.mirror import LocalMirrorMixin

Finding = Iterator[CheckMessage]


def check_mirrored_storages(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Return what is wrong with the mirrored storages that ``STORAGES`` names."""
    found: list[CheckMessage] = []
    roles = set()
    for alias, entry in settings.STORAGES.items():
        cls = _mirrored_class(entry)
        if cls is not None:
            roles.add(cls.role)
            found += _check_alias(alias, cls, entry.get("OPTIONS") or {})
    if "static" in roles:
        found += _check_command("collectstatic", "localmirror")
    if apps.is_installed("localmirror.contrib.compressor"):
        found += _check_command("compress", "localmirror.contrib.compressor")
    return found


def _mirrored_class(entry: Any) -> type[LocalMirrorMixin] | None:
    from localmirror.mirror import LocalMirrorMixin

    try:
        cls = import_string(entry["BACKEND"])
    except (ImportError, ImproperlyConfigured, KeyError, TypeError):
        return None  # not ours to report: Django says it better when the storage is used
    return cls if isinstance(cls, type) and issubclass(cls, LocalMirrorMixin) else None


def _check_alias(alias: str, cls: type[LocalMirrorMixin], options: dict[str, Any]) -> list[CheckMessage]:
    checks: list[Callable[..., Finding]] = [_check_directory, _check_sources, _check_media_root, _check_domain]
    if cls.role == "static":
        checks += [_check_signed_urls, _check_static_url, _check_cache]
    elif alias == "staticfiles":
        checks.append(_check_role)
    found: list[CheckMessage] = []
    try:
        with offline():
            storage = cls(**options)
            location = os.path.realpath(storage.mirror.root)
            if storage.unset_option:
                found.append(unset(f"STORAGES[{alias!r}]", storage))
                checks = [check for check in checks if check is not _check_static_url]
            for check in checks:
                found += check(alias, storage, location)
    except ImproperlyConfigured as error:
        return [*found, _unusable(alias, cls, str(error), bool(_location(cls, options)))]
    except Exception as error:  # whatever a remote makes of wrong options
        reason = redact(f"{type(error).__name__}: {error}", {n: options.get(n) for n in cls.secret_attributes})
        return [*found, _unusable(alias, cls, reason, True)]
    adapter_checks = getattr(cls, "mirror_checks", None)
    return found + list(adapter_checks(alias, options) if adapter_checks else ())


def unset(where: str, storage: Any) -> CheckMessage:
    """Return what to say of a storage that does not know where its files are: nothing goes wrong until it is used."""
    return Warning(
        f"{where} has no {storage.unset_option!r}: neither can files be published nor addresses be told.",
        hint=f"Set the option {storage.unset_option!r} wherever the storage is used, for collectstatic --stage too.",
        obj=type(storage),
        id="localmirror.W005",
    )


def _location(cls: type[LocalMirrorMixin], options: dict[str, Any]) -> Any:
    setting = cls.mirror_location_setting
    return options.get("mirror_location") or cls.mirror_location or (setting and getattr(settings, setting, None))


def _unusable(alias: str, cls: type[LocalMirrorMixin], reason: str, has_location: bool) -> CheckMessage:
    if has_location:
        return Error(f"STORAGES[{alias!r}] cannot be used: {reason}", obj=cls, id="localmirror.E005")
    setting = cls.mirror_location_setting
    return Error(
        f"STORAGES[{alias!r}] has no mirror directory.",
        hint=f"Set {setting} = BASE_DIR / 'static-mirror', or the option 'mirror_location'."
        if setting
        else f"Add to STORAGES[{alias!r}]['OPTIONS']: 'mirror_location': BASE_DIR / 'media-mirror'",
        obj=cls,
        id="localmirror.E001",
    )


def _check_directory(alias: str, storage: Any, location: str) -> Finding:
    if os.path.exists(location) and not os.path.isdir(location):
        yield _unusable(alias, type(storage), f"its mirror, {storage.mirror.root}, is not a directory.", True)


def _check_sources(alias: str, storage: Any, location: str) -> Finding:
    if not apps.is_installed("django.contrib.staticfiles"):
        return
    from django.contrib.staticfiles.finders import get_finders

    for finder in get_finders():
        for source in getattr(finder, "storages", {}).values():
            directory = os.path.realpath(getattr(source, "location", None) or "")
            if getattr(source, "location", None) and _inside(location, directory):
                yield Error(
                    f"The mirror of STORAGES[{alias!r}], {storage.mirror.root}, is inside {source.location}, where "
                    "static files are collected from: it would collect itself.",
                    hint="Move the mirror (STATIC_ROOT, or 'mirror_location') out of every source directory.",
                    obj=type(storage),
                    id="localmirror.E002",
                )


def _check_domain(alias: str, storage: Any, location: str) -> Finding:
    domain = getattr(storage, "custom_domain", None)
    if _has_scheme(storage):
        yield Error(
            f"The custom_domain of STORAGES[{alias!r}] is {domain!r}: a domain, without a scheme, is wanted.",
            hint=f"'custom_domain': {str(domain).partition('://')[2].rstrip('/')!r}",
            obj=type(storage),
            id="localmirror.E003",
        )


def _has_scheme(storage: Any) -> bool:
    return "://" in str(getattr(storage, "custom_domain", None) or "")


def _check_signed_urls(alias: str, storage: Any, location: str) -> Finding:
    if getattr(storage, "querystring_auth", False):
        yield Error(
            f"STORAGES[{alias!r}] holds static files and has querystring_auth on: signed URLs expire, and break CSS.",
            hint=f"Add to STORAGES[{alias!r}]['OPTIONS']: 'querystring_auth': False",
            obj=type(storage),
            id="localmirror.E004",
        )


def _check_static_url(alias: str, storage: Any, location: str) -> Finding:
    if alias != "staticfiles" or getattr(storage, "querystring_auth", False) or _has_scheme(storage):
        return
    if getattr(storage, "custom_domain", "") is None and settings.STATIC_URL and "//" not in settings.STATIC_URL:
        # The provider's own address costs a client, of which the rest of the process may have no need.
        yield Warning(
            f"STATIC_URL is {settings.STATIC_URL!r}, but the files of STORAGES[{alias!r}] are in "
            f"{storage.describe_remote()}.",
            hint="STATIC_URL = 'https://<the domain of the bucket, or of the CDN before it>/'",
            obj=type(storage),
            id="localmirror.W001",
        )
        return
    base = storage.base_address()
    if base is not None and settings.STATIC_URL and base != settings.STATIC_URL:
        yield Warning(
            f"STATIC_URL is {settings.STATIC_URL!r}, but the files of STORAGES[{alias!r}] are at {base!r}.",
            hint=f"STATIC_URL = {base!r}",
            obj=type(storage),
            id="localmirror.W001",
        )


def _check_role(alias: str, storage: Any, location: str) -> Finding:
    cls = type(storage)
    yield Warning(
        f"STORAGES[{alias!r}] is a mirrored storage for {storage.role} files: collectstatic saves to it file by file, "
        "and nothing goes live as a whole.",
        hint=f"Stack localmirror.StaticMirrorMixin before the mirror in {cls.__module__}.{cls.__qualname__}, or take "
        "one of the prebuilt classes for static files.",
        obj=cls,
        id="localmirror.W004",
    )


def _check_cache(alias: str, storage: Any, location: str) -> Finding:
    if not isinstance(storage, CachedFilesMixin):
        return
    cache = cache_alias()
    if settings.CACHES[cache]["BACKEND"] == "django.core.cache.backends.dummy.DummyCache":
        yield Warning(
            f"STORAGES[{alias!r}] keeps hashed names in CACHES[{cache!r}], which keeps nothing: every {{% static %}} "
            "reads the whole manifest from the remote.",
            hint="Add to CACHES: 'staticfiles': {'BACKEND': 'django.core.cache.backends.locmem.LocMemCache'}",
            obj=type(storage),
            id="localmirror.W006",
        )


def _check_media_root(alias: str, storage: Any, location: str) -> Finding:
    media = settings.MEDIA_ROOT
    if media and storage.role != "media" and _inside(os.path.realpath(media), location):
        yield Warning(
            f"MEDIA_ROOT, {media}, is inside the mirror of STORAGES[{alias!r}], {storage.mirror.root}.",
            hint="Give uploads a directory of their own.",
            obj=type(storage),
            id="localmirror.W003",
        )


def _check_command(command: str, wanted: str) -> Finding:
    from django.core.management import get_commands

    owner = get_commands().get(command)
    owner_name = owner if isinstance(owner, str) else getattr(owner, "__module__", None)
    if owner_name != wanted:
        yield Warning(
            f"'manage.py {command}' is the command of {owner_name!r}, not of {wanted!r}.",
            hint=f"List {wanted!r} before {owner_name!r} in INSTALLED_APPS.",
            id="localmirror.W002",
        )


def _inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip(os.sep) + os.sep)
