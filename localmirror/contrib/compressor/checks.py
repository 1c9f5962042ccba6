"""System checks for django-compressor on mirrored storages. They make no request."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from django.apps import AppConfig, apps
from django.conf import STATICFILES_STORAGE_ALIAS, settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from localmirror.checks import unset
from localmirror.mirror import LocalMirrorMixin
from localmirror.names import redact
from localmirror.offline import offline
from localmirror.roles import CompressorMirrorMixin

Findings = Iterator[CheckMessage]

FILTER = "localmirror.contrib.compressor.filters.HashedCssFilter"
FINDER = "compressor.finders.CompressorFinder"

_DONE_BY = {
    "STATICFILES_STORAGE": "STORAGES['staticfiles']",
    "DEFAULT_FILE_STORAGE": "STORAGES['default']",
    "COMPRESS_CSS_FILTERS": "COMPRESS_FILTERS['css']",
    "COMPRESS_JS_FILTERS": "COMPRESS_FILTERS['js']",
    "COMPRESS_CSS_INVALIDATION_METHOD": f"{FILTER} in COMPRESS_FILTERS['css']",
    "COMPRESS_CSS_COMPRESSOR": "COMPRESSORS['css']",
    "COMPRESS_JS_COMPRESSOR": "COMPRESSORS['js']",
    "AWS_HEADERS": "the option 'object_parameters'; immutable names get their Cache-Control by themselves",
    "AWS_S3_SECURE_URLS": "the option 'url_protocol'",
    "AWS_S3_HOST": "the option 'endpoint_url'",
    "AWS_S3_CALLING_FORMAT": "the option 'addressing_style'",
    "AWS_S3_ENCRYPTION": "the option 'object_parameters'",
    "AWS_REDUCED_REDUNDANCY": "the option 'object_parameters'",
}

#: Settings of recipes for remote storages that nothing reads any more, each with what to do instead.
SUCCESSORS = {name: f"Its work is done by {what}." for name, what in _DONE_BY.items()} | {
    "AWS_PRELOAD_METADATA": "What the bucket has is learnt from one listing.",
    "AWS_AUTO_CREATE_BUCKET": "Create the bucket before the first deployment.",
    "AWS_BUCKET_ACL": "Who may read the bucket is set on the bucket itself.",
}


@dataclass
class Configured:
    """A storage as compressor will find it: under an alias of ``STORAGES``, else through a setting of its own."""

    alias: str
    setting: str

    @cached_property
    def in_storages(self) -> bool:
        return self.alias in settings.STORAGES

    @property
    def where(self) -> str:
        """What to call it in a message."""
        return f"STORAGES[{self.alias!r}]" if self.in_storages else self.setting

    @property
    def path(self) -> Any:
        """The dotted path of the class."""
        return settings.STORAGES[self.alias].get("BACKEND") if self.in_storages else getattr(settings, self.setting)

    @cached_property
    def _import_error(self) -> Exception | None:
        try:
            import_string(self.path)
        except (ImportError, AttributeError, TypeError, ImproperlyConfigured) as error:
            return error
        return None

    @property
    def problem(self) -> str | None:
        """Why there is no such class and what follows from it, in two sentences; None if there is one."""
        error = self._import_error
        if error is None:
            return None
        if self.in_storages and self.path is None:
            return f"{self.where} has no 'BACKEND'. Nothing could be compressed."
        named = f"{self.where}['BACKEND']" if self.in_storages else self.setting
        silent = self.in_storages and isinstance(error, ImportError)  # the one case in which compressor has another one
        follows = (
            "django-compressor would silently write to local disk instead" if silent else "Nothing could be compressed"
        )
        return f"{named} is {self.path!r}, which cannot be imported: {str(error).rstrip('.')}. {follows}."

    @cached_property
    def cls(self) -> Any:
        return None if self._import_error else import_string(self.path)

    @cached_property
    def _built(self) -> tuple[Any, str | None]:
        """A storage of this class if it is a mirrored one that can be built, else None, and why it cannot."""
        if not (isinstance(self.cls, type) and issubclass(self.cls, LocalMirrorMixin)):
            return None, None
        options = settings.STORAGES[self.alias].get("OPTIONS") or {} if self.in_storages else {}
        try:
            storage = self.cls(**options)
        except Exception as error:  # whatever a remote makes of wrong options
            return None, self._reason(error)
        return storage, None

    @property
    def storage(self) -> Any:
        """A storage of this class if it is a mirrored one that can be built, else None."""
        return self._built[0]

    @cached_property
    def _addressed(self) -> tuple[str | None, str | None]:
        """The address before all files, None if there is none or if it is signed; and why it cannot be told."""
        if self.storage is None or self.storage.unset_option or getattr(self.storage, "querystring_auth", False):
            return None, None
        try:
            return self.storage.base_address(), None
        except Exception as error:
            return None, self._reason(error)

    @property
    def address(self) -> str | None:
        """The address before all files, None if there is none or if it is signed."""
        return self._addressed[0]

    @property
    def is_unset(self) -> bool:
        """Whether it does not know where its files are, and the checks of ``localmirror`` do not say so already."""
        told = self.in_storages and apps.is_installed("localmirror")
        return self.storage is not None and self.storage.unset_option is not None and not told

    @property
    def failure(self) -> str | None:
        """Why the storage cannot be used, None if it can, or if the checks of ``localmirror`` say so already."""
        told = self.in_storages and apps.is_installed("localmirror")
        told_too = told and self.alias == STATICFILES_STORAGE_ALIAS
        return (None if told else self._built[1]) or (None if told_too else self._addressed[1])

    def _reason(self, error: Exception) -> str:
        if isinstance(error, ImproperlyConfigured):
            return str(error)
        options = settings.STORAGES[self.alias].get("OPTIONS") or {} if self.in_storages else {}
        secrets = {name: options.get(name) or getattr(self.cls, name, None) for name in self.cls.secret_attributes}
        return redact(f"{type(error).__name__}: {error}", secrets)

    def backend(self, path: str) -> str:
        """Return a hint that puts another class in the place of this one."""
        if self.in_storages:
            return f"'BACKEND': {path!r}"
        return f"{self.setting} = {path!r}, or a subclass of it with its options for attributes"

    def option(self, name: str, value: object) -> str:
        """Return a hint that sets an option of this storage."""
        if self.in_storages:
            return f"Add to {self.where}['OPTIONS']: {name!r}: {value!r}"
        return f"Set on the class that {self.setting} names: {name} = {value!r}"


@dataclass
class Site:
    """The storages that a page with compressed files depends on."""

    static: Configured = field(default_factory=lambda: Configured(STATICFILES_STORAGE_ALIAS, ""))
    output: Configured = field(default_factory=lambda: Configured(settings.COMPRESS_STORAGE_ALIAS, "COMPRESS_STORAGE"))
    manifest: Configured = field(
        default_factory=lambda: Configured(
            settings.COMPRESS_OFFLINE_MANIFEST_STORAGE_ALIAS, "COMPRESS_OFFLINE_MANIFEST_STORAGE"
        )
    )

    @property
    def compressor_storages(self) -> list[Configured]:
        return [self.output, self.manifest] if settings.COMPRESS_OFFLINE else [self.output]


def check_compressor(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Return what is wrong with django-compressor's settings as far as they concern remote storages."""
    if not apps.is_installed("compressor"):
        return []
    from compressor.conf import CompressorConf  # fills in compressor's defaults

    assert CompressorConf
    site = Site()
    checks: list[Callable[[Site], Findings]] = [
        _check_imports,
        _check_usable,
        _check_finder,
        _check_alias_spelling,
        _check_roles,
        _check_signed_urls,
        _check_urls,
        _check_addresses,
        _check_manifest_name,
        _check_manifest_is_shared,
        _check_mirror_directory,
        _check_hidden_settings,
        _check_filters,
        _check_old_settings,
    ]
    with offline():
        return [found for check in checks for found in check(site)]


def _check_imports(site: Site) -> Findings:
    for configured in site.compressor_storages:
        if configured.problem:
            yield Error(configured.problem, hint=configured.backend(_fitting_class(None)), id="localmirror.E101")


def _check_usable(site: Site) -> Findings:
    for configured in (site.static, *site.compressor_storages):
        if configured.failure:
            yield Error(
                f"{configured.where} cannot be used: {configured.failure}", obj=configured.cls, id="localmirror.E005"
            )
        elif configured.is_unset:
            yield unset(configured.where, configured.storage)


def _has_finder() -> bool:
    return FINDER in settings.STATICFILES_FINDERS


def _check_finder(site: Site) -> Findings:
    if apps.is_installed("django.contrib.staticfiles") and not _has_finder():
        yield Error(
            f"STATICFILES_FINDERS lacks {FINDER!r}: django-compressor refuses to work without it.",
            hint=f"STATICFILES_FINDERS = [*STATICFILES_FINDERS, {FINDER!r}]",
            id="localmirror.E108",
        )


def _check_roles(site: Site) -> Findings:
    for configured in site.compressor_storages:
        cls = configured.cls
        hint = configured.backend(_fitting_class(cls))
        if hasattr(cls, "post_process"):
            yield Error(
                f"{configured.where} is {configured.path!r}, which hashes names. Compressor's output has its digest in "
                "its name already: links to it would fail, or lead nowhere.",
                hint=hint,
                obj=cls,
                id="localmirror.E102",
            )
        elif configured.storage is not None and configured.storage.role != "compressor":
            yield Warning(
                f"{configured.where} is {configured.path!r}, a mirrored storage for other files than compressor's: it "
                "would ask the remote for each block on each page.",
                hint=hint,
                obj=cls,
                id="localmirror.W107",
            )


def _fitting_class(cls: Any) -> str:
    """Return the class for compressor's output on the remote of *cls*."""
    if not getattr(cls, "__module__", "").startswith("localmirror.backends."):
        return "localmirror.backends.s3.MirroredS3CompressorStorage"
    name = re.sub(r"(Manifest|Cached)?(Static)?Storage$", "CompressorStorage", cls.__name__)
    return f"{cls.__module__}.{name}"


def _check_signed_urls(site: Site) -> Findings:
    if getattr(site.output.storage, "querystring_auth", False):
        yield Error(
            f"{site.output.where} has querystring_auth on: the links that it writes into pages and offline manifest "
            "expire.",
            hint=site.output.option("querystring_auth", False),
            obj=site.output.cls,
            id="localmirror.E103",
        )


def _check_urls(site: Site) -> Findings:
    static_url, compress_url = str(settings.STATIC_URL), str(settings.COMPRESS_URL)
    if static_url != compress_url and site.static.address is None:
        yield Error(
            f'STATIC_URL is {static_url!r} and COMPRESS_URL is {compress_url!r}: files of the one are "not accessible '
            'via" the other, and are not compressed.',
            hint="COMPRESS_URL = STATIC_URL",
            id="localmirror.E104",
        )


def _check_addresses(site: Site) -> Findings:
    if site.output.storage is None:
        return
    for configured in (site.static, site.output):
        address = configured.address
        base = str(getattr(site.output.storage, "base_url", None) or settings.COMPRESS_URL)
        if address is None or unquote(address) == unquote(base) or _is_nested(site, configured, base, address):
            continue
        yield Error(
            f"COMPRESS_URL is {base!r}, but the files of {configured.where} are at {address!r}: scheme, domain and "
            "location have to agree, or sources are not found.",
            hint=f"STATIC_URL = COMPRESS_URL = {address!r}",
            obj=configured.cls,
            id="localmirror.E105",
        )


def _is_nested(site: Site, configured: Configured, base: str, address: str) -> bool:
    """Whether static files lie in a directory of the compressor's storage, at both ends alike."""
    if configured is not site.static or not address.startswith(base):
        return False
    inside = os.path.join(site.output.storage.mirror.root, address.removeprefix(base).rstrip("/"))
    return bool(os.path.normpath(inside) == configured.storage.mirror.root)


def _check_manifest_name(site: Site) -> Findings:
    if not (settings.COMPRESS_OFFLINE and isinstance(site.manifest.storage, CompressorMirrorMixin)):
        return
    if not (apps.is_installed("django.contrib.staticfiles") and _has_finder()):
        return
    from compressor.finders import CompressorFinder
    from django.contrib.staticfiles.finders import get_finders

    name = settings.COMPRESS_OFFLINE_MANIFEST
    for finder in get_finders():
        found = None if isinstance(finder, CompressorFinder) else finder.find(name)
        if found:
            yield Error(
                f"The static file {found} has the name of compressor's offline manifest, {name!r}: each would "
                "overwrite the other.",
                hint=f"COMPRESS_OFFLINE_MANIFEST = {site.manifest.storage.output_prefix + 'manifest.json'!r}",
                id="localmirror.E106",
            )


def _check_alias_spelling(site: Site) -> Findings:
    meant = "compressor-offline"
    unused = meant in settings.STORAGES and site.manifest.alias != meant and not site.manifest.in_storages
    if unused and settings.COMPRESS_OFFLINE:
        yield Error(
            f"STORAGES[{meant!r}] is never used: django-compressor spells the alias {site.manifest.alias!r}. The "
            "offline manifest would stay on this host.",
            hint=f"COMPRESS_OFFLINE_MANIFEST_STORAGE_ALIAS = {meant!r}",
            id="localmirror.E107",
        )


def _check_manifest_is_shared(site: Site) -> Findings:
    is_local = getattr(site.manifest.cls, "__module__", "") == "compressor.storage"
    if settings.COMPRESS_OFFLINE and site.output.storage is not None and is_local:
        yield Warning(
            f"{site.output.where} publishes compressed files, but the offline manifest that lists them stays on this "
            "host: no other one would find them.",
            hint=f"STORAGES[{site.manifest.alias!r}] = STORAGES[{site.output.alias!r}]"
            if site.output.in_storages
            else "COMPRESS_OFFLINE_MANIFEST_STORAGE = COMPRESS_STORAGE",
            id="localmirror.W106",
        )


def _check_mirror_directory(site: Site) -> Findings:
    for configured in (site.output, site.static):
        if site.output.storage is None or configured.storage is None:
            continue
        root = os.path.realpath(settings.COMPRESS_ROOT)
        directory = os.path.realpath(configured.storage.mirror.root)
        if directory != root and not (configured is site.static and directory.startswith(f"{root}{os.sep}")):
            yield Warning(
                f"COMPRESS_ROOT is {settings.COMPRESS_ROOT}, but the mirror of {configured.where} is "
                f"{configured.storage.mirror.root}: compressor would not find there what collectstatic has collected.",
                hint="Set STATIC_ROOT alone, and neither COMPRESS_ROOT nor 'mirror_location'.",
                obj=configured.cls,
                id="localmirror.W101",
            )


def _check_hidden_settings(site: Site) -> Findings:
    for configured in (site.output, site.manifest):
        set_to = getattr(settings, configured.setting)
        if configured.in_storages and set_to != configured.path and not str(set_to).startswith("compressor.storage."):
            yield Warning(
                f"{configured.setting} is {set_to!r} and does nothing: {configured.where} comes before it.",
                hint=f"Remove {configured.setting}, or {configured.where}.",
                id="localmirror.W102",
            )


def _check_filters(site: Site) -> Findings:
    from compressor.filters.css_default import CssAbsoluteFilter

    if site.output.storage is None:
        return
    for path in settings.COMPRESS_FILTERS.get("css", ()):
        try:
            cls = import_string(path)
        except ImportError:
            continue  # compressor says so itself
        if not (isinstance(cls, type) and issubclass(cls, CssAbsoluteFilter)):
            continue
        hint = (
            f"COMPRESS_FILTERS = {{**COMPRESS_FILTERS, 'css': ['{FILTER}', 'compressor.filters.cssmin.rCSSMinFilter']}}"
        )
        if hasattr(site.static.cls, "post_process"):
            yield Warning(
                f"{path} knows nothing of the hashed names of {site.static.where}: images and fonts in compressed CSS "
                "keep their plain names, or get a second cache-buster.",
                hint=hint,
                id="localmirror.W104",
            )
        if settings.COMPRESS_CSS_HASHING_METHOD == "mtime":
            yield Warning(
                f"With COMPRESS_CSS_HASHING_METHOD = 'mtime', {path} gives the same CSS other names on every host.",
                hint="COMPRESS_CSS_HASHING_METHOD = 'content'",
                id="localmirror.W103",
            )


def _check_old_settings(site: Site) -> Findings:
    for name, successor in SUCCESSORS.items():
        if hasattr(settings, name):
            yield Warning(
                f"Nothing reads the setting {name} any more.",
                hint=f"Remove it. {successor}",
                id="localmirror.W105",
            )
