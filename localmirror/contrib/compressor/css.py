"""Where a style sheet has URLs, and putting others in their place; every other character stays as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Any
from urllib.parse import quote

import tinycss2

from localmirror.exceptions import LocalMirrorError

# Where tokens end: an escape is hexadecimal digits and one space, or any other character, and what is still open at the
# end of the text is closed there (CSS Syntax 3, 4.3). No repetition gives anything back: each can end in one way only.
_ESCAPE = r"\\[0-9a-fA-F]{1,6}+[ \t\n]?+|\\.|\\\Z"
_STRING = re.compile(rf"""(["'])(?:(?!\1)[^\\\n]|{_ESCAPE})*+(?:\1|\Z)""", re.DOTALL)
_UNQUOTED = re.compile(rf"""([^(]*\()[ \t\n]*+(?:[^ \t\n"'()\\]|{_ESCAPE})*+[ \t\n]*+(?:\)|\Z)""", re.DOTALL)
_SOURCE_MAP = re.compile(r"[#@]\s*sourceMappingURL=")

# Functions whose strings are URLs; image-set: CSS Images 4, 2.3.
_URL_FUNCTIONS = frozenset(["url", "image-set", "-webkit-image-set"])

# What percent-encoding leaves bare in a path, and quotes, brackets and spaces would end a URL in CSS.
_UNSAFE = re.compile(r"[\s\"'()\\]")


def rewrite_urls(css: str, convert: Callable[[str], str | None]) -> str:
    """Return *css* with each URL replaced by what *convert* returns for it; None leaves it.

    URLs are those of ``url()``, ``image-set()``, ``@import`` and ``src=`` (Microsoft's filters, quoted as a whole too).
    Source map comments are dropped: a map describes one file, and not the one that this becomes a part of.
    """
    # As the CSS standard has it (CSS Syntax 3, 3.3), and tinycss2, whose lines and columns are used below.
    css = css.replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n")
    lines = list(accumulate((len(line) + 1 for line in css.split("\n")), initial=0))
    pieces: list[str] = []
    done = 0
    for token, is_style in _tokens_with_urls(tinycss2.parse_component_value_list(css)):
        start = lines[token.source_line - 1] + token.source_column - 1
        found = _replacement(token, is_style, css, start, convert)
        if found is not None:
            end, text = found
            pieces += css[done:start], text
            done = end
    return "".join((*pieces, css[done:]))


def _tokens_with_urls(tokens: Iterable[Any], function: str = "") -> Iterator[tuple[Any, bool]]:
    """Yield tokens with URLs, and source map comments; and whether a token is a string with style in it."""
    before: tuple[str, str] = ("", "")
    for token in tokens:
        if token.type == "whitespace":
            continue
        if token.type == "comment":
            if _SOURCE_MAP.match(token.value):
                yield token, False
            continue
        if token.type == "url":
            yield token, False
        elif token.type == "string":
            if function in _URL_FUNCTIONS or before[1] == "@import" or before == ("src", "="):
                yield token, False
            elif before == ("-ms-filter", ":"):
                yield token, True
        elif token.type == "function":
            yield from _tokens_with_urls(token.arguments, token.lower_name)
        elif token.type in ("{} block", "() block"):  # in [] stand selectors, whose strings are no URLs
            yield from _tokens_with_urls(token.content)
        before = (before[1], _word(token))


def _word(token: Any) -> str:
    if token.type == "at-keyword":
        return f"@{token.lower_value}"
    return str(token.lower_value if token.type == "ident" else token.value if token.type == "literal" else "")


def _replacement(
    token: Any, is_style: bool, css: str, start: int, convert: Callable[[str], str | None]
) -> tuple[int, str] | None:
    """Return where the token at *start* ends and what to put in its place, None to leave it.

    Raises LocalMirrorError rather than leave a URL as it is that was to be another one.
    """
    if token.type == "comment":
        return start + len(token.value) + len("/**/"), ""
    value = rewrite_urls(token.value, convert) if is_style else convert(token.value)
    if value is None or (is_style and value == token.value):
        return None
    extent = (_STRING if token.type == "string" else _UNQUOTED).match(css, start)
    if extent is None:
        raise LocalMirrorError(f"It cannot be told where {token.value!r} in line {token.source_line} of the CSS ends.")
    close = extent[1] if token.type == "string" else ")"
    if is_style:
        value = re.sub(rf"[\\{close}]", r"\\\g<0>", value).replace("\n", r"\a ")
    else:
        value = _UNSAFE.sub(lambda found: quote(found[0], safe=""), value)
    return extent.end(), f"{extent[1]}{value}{close}"
