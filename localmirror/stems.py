"""Which names can belong to a release, and where in a sorted listing they can stand."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Protocol

from localmirror.names import RESERVED, is_reserved

# What may stand before a digest in a name, in the order of characters.
_SEPARATORS = "-.@_~"
_SEPARATOR = re.compile(f"[{re.escape(_SEPARATORS)}]")


def stem(name: str) -> str:
    """Return what *name* begins with in all its forms, hashed or compressed, however a hashing mixin spells them."""
    base = name.rfind("/") + 1
    while name.startswith(".", base):
        base += 1
    found = _SEPARATOR.search(name, base)
    return name[: found.start()] if found else name


class Names(Protocol):
    """Names that a release may have."""

    def __contains__(self, name: str) -> bool:
        """Whether *name* is one of them, or localmirror's own."""

    def gap_after(self, name: str) -> str | None:
        """Return a name up to which no further one behind *name* can be among them: None, no further one at all.

        *name* itself is not among them. Names are in the order of their characters, as object stores list them.
        """


class Exactly:
    """Just these *names*, and localmirror's own."""

    def __init__(self, names: Iterable[str]) -> None:
        self._known = frozenset(names)
        self._sorted = sorted({*self._known, RESERVED})

    def __contains__(self, name: str) -> bool:
        return name in self._known or is_reserved(name)

    def gap_after(self, name: str) -> str | None:
        position = bisect_right(self._sorted, name)
        return _gap(name, self._sorted[position : position + 1])


class Stems:
    """All names that can be forms of *names*, hashed or compressed, and localmirror's own."""

    def __init__(self, names: Iterable[str]) -> None:
        self._known = frozenset(map(stem, names))
        self._sorted = sorted({*self._known, RESERVED})

    def __contains__(self, name: str) -> bool:
        return stem(name) in self._known or is_reserved(name)

    def gap_after(self, name: str) -> str | None:
        return _gap(name, self._places_after(name))

    def _places_after(self, name: str) -> Iterator[str]:
        position = bisect_right(self._sorted, name)
        yield from self._sorted[position : position + 1]
        for end in range(len(name) + 1):
            known = name[:end]
            if known in self._known:  # `css` reaches from `css-...` to `css~...`, around `cssomething`
                yield from (known + separator for separator in _SEPARATORS if known + separator > name)
                if name[end : end + 1] in _SEPARATORS and "/" in name[end:]:
                    yield name[: name.index("/", end)] + "0"  # what follows "/": behind the whole directory


def _gap(name: str, places: Iterable[str]) -> str | None:
    nearest = min(places, default=None)
    return None if nearest is None else max(name, _just_before(nearest))


def _just_before(name: str) -> str:
    before = ord(name[-1]) - 1
    if before <= ord(" "):  # no control characters: not all stores take them
        return name[:-1]
    if 0xD800 <= before < 0xE000:
        before = 0xD7FF
    return f"{name[:-1]}{chr(before)}\U0010fffd"
