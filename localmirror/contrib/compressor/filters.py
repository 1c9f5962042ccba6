"""Filters for ``COMPRESS_FILTERS``."""

from __future__ import annotations

import posixpath
import re
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from compressor.exceptions import FilterError
from compressor.filters import FilterBase
from django.conf import STATICFILES_STORAGE_ALIAS, settings
from django.contrib.staticfiles.storage import HashedFilesMixin
from django.core.files.storage import storages
from django.utils.functional import cached_property

from localmirror.contrib.compressor.css import rewrite_urls
from localmirror.exceptions import LocalMirrorError
from localmirror.names import HASH_PART

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class UnknownStaticFileError(LocalMirrorError, FilterError, ValueError):
    """A style sheet refers to a static file that the manifest does not list."""


class HashedCssFilter(FilterBase):
    """Point every URL in compressed CSS to the public, hashed name of the file that it means.

    It takes the place of ``CssAbsoluteFilter``. Names come from the manifest of ``STORAGES["staticfiles"]``, addresses
    from that storage; query and fragment stay, and nothing else is appended. A file that the manifest does not list
    raises `UnknownStaticFileError`, or gets its plain URL where ``manifest_strict`` is False. What is no static file,
    such as ``data:`` and foreign URLs, is left alone.
    """

    run_with_compression_disabled = True

    def input(self, filename: str | None = None, basename: str | None = None, **kwargs: Any) -> str:
        """Return the content with its URLs replaced; *basename* is the name of the source, None for inline CSS."""
        sheet = basename.replace("\\", "/").lstrip("/") if filename and basename else None
        references = References(storages[STATICFILES_STORAGE_ALIAS], sheet)
        return rewrite_urls(self.content, references.public_url)


class References:
    """What the URLs in one style sheet refer to.

    *storage* is the one for static files, *sheet* the name under which it has the style sheet; None for inline CSS, in
    which relative URLs are relative to the page and stay.
    """

    def __init__(self, storage: Any, sheet: str | None) -> None:
        self.storage = storage
        self.sheet = sheet

    def public_url(self, url: str) -> str | None:
        """Return the URL to put in the place of *url*, None to leave it.

        Raises UnknownStaticFileError if it means a static file that there is none of.
        """
        url = url.strip()
        path = re.split(r"[?#]", url, maxsplit=1)[0]
        if not path:
            return None
        name = self._static_name(path)
        if name in (None, "", ".") or path.endswith("/"):
            return self._absolute(url)
        hashed = self._hashed_name(name)
        if hashed is None and self._is_rooted(path):
            return None
        if hashed is None and getattr(self.storage, "manifest_strict", True):
            raise UnknownStaticFileError(
                f"{self.sheet or 'Inline CSS'} refers to {url!r}, but the manifest of static files has no {name!r}. "
                "Add the file or remove the reference, and run collectstatic; or set manifest_strict to False on "
                "STORAGES['staticfiles'] to give such URLs their plain name."
            )
        return self._address(hashed or name) + url[len(path) :]

    # -- from a URL to a name ------------------------------------------------------------------------------------

    def _static_name(self, path: str) -> str | None:
        if _SCHEME.match(path) or path.startswith("/"):
            start = self._start_of(path)
            name = None if start is None else posixpath.normpath(unquote(path[len(start) :]))
        elif self.sheet is not None:
            name = posixpath.normpath(posixpath.join(posixpath.dirname(self.sheet), unquote(path)))
        else:
            name = None
        return None if name is not None and (name == ".." or name.startswith("../")) else name

    @cached_property
    def _starts(self) -> list[str]:
        """What absolute URLs of static files begin with, longest first."""
        starts = set()
        for base in self._bases:
            parts = urlsplit(base)
            starts.add(base)
            if parts.netloc:
                starts.add(f"//{parts.netloc}{parts.path}")
                # A URL without a host has that of the style sheet; in inline CSS, that of the page.
                if self.sheet is not None:
                    starts.add(parts.path)
        return sorted(starts, key=len, reverse=True)

    def _start_of(self, path: str) -> str | None:
        found = next((start for start in self._starts if path.startswith(start)), None)
        return None if found == "/" and path.startswith("//") else found

    def _is_rooted(self, path: str) -> bool:
        """Whether *path* may as well be meant for another server: a bucket's root has all there is below ``/``."""
        return self._start_of(path) == "/"

    @cached_property
    def _bases(self) -> set[str]:
        probe = "localmirror-probe"
        address = self._address(probe)
        own = {address.removesuffix(probe)} if address.endswith(probe) else set()
        return own | {str(settings.STATIC_URL), str(settings.COMPRESS_URL)}

    def _absolute(self, url: str) -> str | None:
        """Return *url* as it is to be written where the style sheet's own address does not hold any more."""
        if self.sheet is None or _SCHEME.match(url) or url.startswith("/"):
            return None
        return urljoin(str(settings.COMPRESS_URL) + quote(self.sheet), url)

    # -- from a name to the hashed one, and its address ----------------------------------------------------------

    def _hashed_name(self, name: str) -> str | None:
        if settings.DEBUG or not isinstance(self.storage, HashedFilesMixin):
            return name
        listed = self._listed(name)
        # A hashed style sheet has hashed names in it already.
        return name if self._is_hashed(name) and (listed is None or self._sheet_is_hashed) else listed

    @cached_property
    def _sheet_is_hashed(self) -> bool:
        return self.sheet is not None and self._is_hashed(self.sheet)

    def _listed(self, name: str) -> str | None:
        # Not stored_name, which hashes the local file where it is not strict: a rewritten one has another name.
        listed: str | None = self.storage.hashed_files.get(self.storage.hash_key(name))
        return listed

    def _is_hashed(self, name: str) -> bool:
        if self._hashed_names is not None:
            return name in self._hashed_names
        plain = HASH_PART.sub("", name)
        return plain != name and self._listed(plain) == name

    @cached_property
    def _hashed_names(self) -> frozenset[str] | None:
        """All hashed names, None where listing them would mean to read them from elsewhere."""
        hashed_files = self.storage.hashed_files
        return frozenset(hashed_files.values()) if isinstance(hashed_files, dict) else None

    def _address(self, name: str) -> str:
        storage = self.storage
        # Below the hashing mixin, which would look the hashed name up once more, and undo the percent-encoding.
        below: Any = super(HashedFilesMixin, storage) if isinstance(storage, HashedFilesMixin) else storage
        return str(below.url(name))
