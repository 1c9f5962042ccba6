"""Which files hashing has nothing to rewrite in: they get another name, which their digest alone decides."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from django.contrib.staticfiles.utils import matches_patterns

ENHANCED = "django_manifeststaticfiles_enhanced.storage"

# How Django's mixin and that of MSE search JavaScript for the comment that names its source map. The search takes long,
# and hardly any file has the word without which it must fail.
_SOURCE_MAP_COMMENTS = (
    r"(?m)^(?P<matched>//# (?-i:sourceMappingURL)=(?P<url>.*))$",
    r"(?m)^(?P<matched>//# (?-i:sourceMappingURL)=(?P<url>.*?)\s*)$",
)
_SOURCE_MAP_WORD = b"sourceMappingURL"


def is_enhanced(storage: Any) -> bool:
    """Whether *storage* hashes with the mixin of django-manifeststaticfiles-enhanced."""
    return any(cls.__module__ == ENHANCED for cls in type(storage).__mro__)


def is_looked_into(storage: Any, name: str) -> bool:
    """Whether hashing opens *name* in search of references."""
    return matches_patterns(name, {"*.css", "*.js", *storage._patterns})


def has_no_references(storage: Any, name: str, path: str, read: Callable[[], bytes]) -> bool:
    """Whether hashing would open *name*, collected from *path*, and find nothing to replace in what *read* returns.

    Django's mixin and that of MSE replace what their compiled patterns match in the whole text. MSE's lexers, if they
    are in use, go by other rules, which are left to them.
    """
    if is_enhanced(storage) and getattr(storage, "use_lexer", True):
        return False
    data = read()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:  # which hashing will meet too, and report
        return False
    # Django asks whether it looks into a file by its name, and with which patterns by its path at the finder.
    patterns = [
        pattern
        for glob, entries in storage._patterns.items()
        if matches_patterns(name, [glob]) or matches_patterns(path, [glob])
        for pattern, *_ in entries
        if pattern.pattern not in _SOURCE_MAP_COMMENTS or _SOURCE_MAP_WORD in data
    ]
    return not any(pattern.search(text) for pattern in patterns)


def texts_scanned_once(storage: Any) -> dict[str, Any]:
    """Return what makes *storage* find comments and strings in a text once, as attributes for it to have meanwhile.

    It would for each of its patterns, and Django in each of its passes. Django before 6.1 does not look for them.
    """
    find = getattr(storage, "get_ignored_blocks", None)
    if find is None:
        return {}
    found: dict[tuple[bytes, Any], Any] = {}

    def find_once(content: str, ignored_re: Any) -> Any:
        key = blake2b(content.encode()).digest(), ignored_re
        if key not in found:
            found[key] = find(content, ignored_re)
        return found[key]

    return {"get_ignored_blocks": find_once}
