"""What hashing has nothing to rewrite in is seen without it: the release is the one that hashing alone makes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from localmirror import offline
from localmirror.references import has_no_references, texts_scanned_once

from .sites import REMEMBERING, Enhanced, Manifest, Site

#: What comes close to a reference, is one in an unusual form, or looks like none.
TEXTS = {
    "empty": b"",
    "plain": b"a { color: red }\n",
    "url": b"a { background: url(dot.png) }",
    "upper": b"a { background: URL('dot.png') }",
    "import": b"@IMPORT  'other.css';",
    "commented": b"/* a { background: url(dot.png) } */",
    "quoted": b"a::after { content: 'url(dot.png)' }",
    "embedded": b"a { background: url(data:image/gif;base64,R0lGODlhAQABAAAAACw=) }",
    "foreign": b"a { background: url(https://example.com/dot.png) }",
    "open": b"a { background: url(dot.png",
    "broken over lines": b"a { background: url(\n'dot.png'\n) }",
    "byte order mark": b"\xef\xbb\xbfa { background: url(dot.png) }",
    "carriage returns": b"a { color: red }\r\n@import 'other.css';\r\n",
    "queries": b"a { background: url(dot.png?v=1) } b { background: url(dot.png?v=1#x), url(dot.png?#iefix) }",
    "source map of CSS": b"a{}\n/*# sourceMappingURL=x.map */\n",
    "source map": b"f()\n//# sourceMappingURL=x.map\n",
    "source map at the end": b"f()\n//# sourceMappingURL=x.map",
    "source map with spaces": b"f()\n//# sourceMappingURL=x.map  \t\n\n",
    "source map in lower case": b"f()\n//# sourcemappingurl=x.map\n",
    "source map within a line": b"f() //# sourceMappingURL=x.map\n",
    "module": b"import { a } from './other.js';\nexport { b } from './other.js';\nimport('./other.js');\n",
    "module in a comment": b"/* import nothing from './other.js'; */\nconst important = 1;\n",
}
TARGETS = {"dot.png": b"\x89PNG\r\n\x1a\n", "x.map": b"{}", "other.css": b"b{}", "other.js": b"export const a = 1;\n"}


@pytest.mark.parametrize("suffix", [".css", ".js", ".CSS", ".txt"])
@pytest.mark.parametrize("backend", REMEMBERING)
def test_the_release_is_that_of_hashing_alone(tmp_path: Path, backend: type, suffix: str) -> None:
    files = {f"{name.replace(' ', '-')}{suffix}": text for name, text in TEXTS.items()}
    site = Site(tmp_path, backend, {**files, **TARGETS})

    site.check()


@pytest.mark.parametrize("backend", REMEMBERING)
def test_what_is_no_text_fails_as_it_does_with_hashing(tmp_path: Path, backend: type) -> None:
    site = Site(tmp_path, backend, {"a.css": b"a { color: red } /* \xff */", **TARGETS})

    with pytest.raises((CommandError, UnicodeDecodeError)) as hashed:
        site.fresh()
    with pytest.raises(type(hashed.value), match=re.escape(str(hashed.value))):
        site.stage()


@pytest.mark.parametrize("backend", [Manifest, Enhanced])
def test_patterns_of_a_project_are_searched_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: type) -> None:
    own = r"""(?P<matched>data-src="(?P<url>.*?)")"""
    monkeypatch.setattr(
        backend,
        "patterns",
        (*backend.patterns, ("*.html", ((own, 'data-src="%(url)s"'),))),  # type: ignore[attr-defined]
    )
    site = Site(tmp_path, backend, {"a.html": b'<i data-src="dot.png">', "b.html": b"<i>", **TARGETS})

    site.check()

    assert b"dot.png" not in site.hashed("a.html").read_bytes() or backend is Enhanced


def test_patterns_go_by_the_path_at_the_finder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django asks whether a file is looked into by its name, and for what by its path, which has no prefix."""
    monkeypatch.setattr(
        Manifest,
        "patterns",
        (("vendor/*.css", (r"(?P<matched>nothing(?P<url>))",)), ("a*.css", (r"""(?P<matched>url\((?P<url>.*?)\))""",))),
    )
    site = Site(tmp_path, Manifest, {})
    site.write("a.css", TEXTS["url"], directory=tmp_path / "vendor")
    site.write("dot.png", TARGETS["dot.png"], directory=tmp_path / "vendor")
    site.project.settings["STATICFILES_DIRS"] = [("vendor", str(tmp_path / "vendor"))]

    site.check()

    assert b"dot.png" not in site.hashed("vendor/a.css").read_bytes()


class Scanning:
    """A storage that finds comments and strings, and notes in which texts."""

    def __init__(self) -> None:
        self.scanned: list[str] = []

    def get_ignored_blocks(self, content: str, ignored_re: Any) -> list[tuple[int, int]]:
        self.scanned.append(content)
        return [match.span() for match in ignored_re.finditer(content)]


def test_each_text_is_scanned_once() -> None:
    storage = Scanning()
    find = texts_scanned_once(storage)["get_ignored_blocks"]
    comments, strings = re.compile(r"/\*.*?\*/"), re.compile(r"'.*?'")

    for _ in range(3):
        assert find("a /* b */", comments) == [(2, 9)]
        assert find("'c' /* d */", comments) == [(4, 11)]
        assert find("'c' /* d */", strings) == [(0, 3)]

    assert storage.scanned == ["a /* b */", "'c' /* d */", "'c' /* d */"]
    assert texts_scanned_once(object()) == {}


def test_lexers_are_left_to_find_what_they_find(tmp_path: Path) -> None:
    with offline():
        enhanced = Enhanced(bucket_name="b", mirror_location=str(tmp_path))
    assert has_no_references(enhanced, "a.css", "a.css", lambda: b"a{}")

    enhanced.use_lexer = True
    assert not has_no_references(enhanced, "a.css", "a.css", lambda: b"a{}")
