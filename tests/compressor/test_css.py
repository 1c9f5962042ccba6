"""Finding URLs in style sheets: every form is found, and nothing else is touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localmirror.contrib.compressor.css import rewrite_urls


def seen_in(css: str) -> list[str]:
    """Return the URLs that are offered for conversion."""
    seen: list[str] = []

    def remember(url: str) -> None:
        seen.append(url)

    assert rewrite_urls(css, remember) == css
    return seen


@pytest.mark.parametrize(
    ("css", "urls"),
    [
        ("a{background:url(x.png)}", ["x.png"]),
        ("a{background:URL( x.png )}", ["x.png"]),
        ("a{background:url('x y.png')}", ["x y.png"]),
        ('a{background:url( "x.png" ) no-repeat,url(y.png)}', ["x.png", "y.png"]),
        (r"a{background:url(x\ y\29.png)}", ["x y).png"]),
        (r"a{background:url(x\20 y.png)}", ["x y.png"]),
        (r"a{background:url( x\000020y\20\20 .png )}", ["x y  .png"]),
        (r"a{background:url('x\'y.png')}", ["x'y.png"]),
        (r"a{background:url('x\20 y\27.png')}", ["x y'.png"]),
        ("a{background:url(x\N{NO-BREAK SPACE}y.png)}", ["x\N{NO-BREAK SPACE}y.png"]),
        ("@font-face{src:url(f.eot?#iefix) format('eot'),url(f.woff2?v=1#x)}", ["f.eot?#iefix", "f.woff2?v=1#x"]),
        ("a{background:url(data:image/svg+xml;utf8,<svg></svg>)}", ["data:image/svg+xml;utf8,<svg></svg>"]),
        ("@import \"a.css\" screen; @IMPORT\n/* x */ 'b.css';", ["a.css", "b.css"]),
        ("@import url(a.css) layer(base);@import url('b.css');", ["a.css", "b.css"]),
        (
            "@media print{a{background:url(x.png)}@supports (display:grid){b{cursor:url(c.cur),auto}}}",
            ["x.png", "c.cur"],
        ),
        (
            "a{filter:progid:DXImageTransform.Microsoft.AlphaImageLoader(src='x.png',sizingMethod='scale')}",
            ["x.png"],
        ),
        (
            "a{-ms-filter:\"progid:DXImageTransform.Microsoft.AlphaImageLoader(src='x.png',sizingMethod='scale')\"}",
            ["x.png"],
        ),
        (r"a{-ms-filter : 'progid:X(src=\'x.png\')'}", ["x.png"]),
        (
            "a{background:image-set('x.png' 1x, url(y.png) 2x, 'z.avif' type('image/avif') 1x)}",
            ["x.png", "y.png", "z.avif"],
        ),
        ("a{--logo:url(x.png);mask:var(--m,url(m.svg#a))}", ["x.png", "m.svg#a"]),
        ("a{*zoom:1;_height:1px;background:url(x.png) !ie}", ["x.png"]),
    ],
)
def test_every_form_of_a_url_is_found(css: str, urls: list[str]) -> None:
    assert seen_in(css) == urls


@pytest.mark.parametrize(
    "css",
    [
        "/* url(x.png) @import 'y.css' */",
        "a::after{content:'url(x.png)'}",
        'a::after{content:"@import \\"x.css\\""}',
        'img[src="x.png"]{color:red}',
        'a[href="url(x.png)"]{color:red}',
        "@charset 'utf-8';",
        "@font-face{font-family:'x.png'}",
        "a{grid-template-areas:'a b' 'c d'}",
        ".url{color:red}",
        "a{background:url(x y.png)}",
        "a{content:\"progid:X(src='x.png')\"}",
        "a{-ms-filter:\"progid:X(startColorStr='#x.png')\"}",
    ],
)
def test_what_is_no_url_is_left_alone(css: str) -> None:
    assert seen_in(css) == []


@pytest.mark.parametrize(
    ("css", "result"),
    [
        ("a{background:url( x.png )/* y */}", "a{background:url(NEW)/* y */}"),
        ("a{background:url( 'x.png' )}", "a{background:url( 'NEW' )}"),
        ('@import  "x.css"  screen;\r\nb{}', '@import  "NEW"  screen;\nb{}'),
        ("a{filter:X(src=\"x.png\" , y='x.png')}", "a{filter:X(src=\"NEW\" , y='x.png')}"),
        (r"a{b:url(x\20 y.png)}c{d:url('x\20 y.png')}", "a{b:url(NEW)}c{d:url('NEW')}"),
        ("a{-ms-filter:\"progid:X(src='x.png',y='z')\"}", "a{-ms-filter:\"progid:X(src='NEW',y='z')\"}"),
        (r'a{-ms-filter:"progid:X(src=\"x.png\",y=\"\\\")"}', r'a{-ms-filter:"progid:X(src=\"NEW\",y=\"\\\")"}'),
        ("a{b:url(x.png", "a{b:url(NEW)"),
        ("a{b:url( 'x.png", "a{b:url( 'NEW'"),
        ('@import "x.css', '@import "NEW"'),
        ("ä::after{content:'☃'} b{background:url(x.png)}", "ä::after{content:'☃'} b{background:url(NEW)}"),
        (
            "a{}\n\n  b{\n\tbackground:\n url(x.png)}\nc{background:url(x.png)}",
            "a{}\n\n  b{\n\tbackground:\n url(NEW)}\nc{background:url(NEW)}",
        ),
    ],
)
def test_only_the_url_changes(css: str, result: str) -> None:
    assert rewrite_urls(css, lambda url: "NEW") == result


def test_what_would_end_a_url_in_css_is_percent_encoded() -> None:
    def dangerous(url: str) -> str:
        return "a(1) 'b'\"\\.png?c=d e#f"

    encoded = "a%281%29%20%27b%27%22%5C.png?c=d%20e#f"
    assert rewrite_urls("url(x) url('x')", dangerous) == f"url({encoded}) url('{encoded}')"


def test_comments_that_name_a_source_map_are_dropped() -> None:
    css = "a{}/*# sourceMappingURL=a.css.map */\nb{}/*@ sourceMappingURL=b.css.map*//* sourceMappingURL= */"
    assert rewrite_urls(css, lambda url: None) == "a{}\nb{}/* sourceMappingURL= */"


@given(st.text(alphabet="a{}()[]\"'\\/*@#; \n\tü url(import:-=.,!<>0", max_size=60))
def test_a_style_sheet_without_changes_keeps_every_character(css: str) -> None:
    assert rewrite_urls(css, lambda url: None) == css


_PIECES = ("url(", "url( ", "u\\rl(", "@import ", "src=", "-ms-filter:", "image-set(", "\\", "\\20 ", "\\2", "\\22\n")


@given(st.lists(st.sampled_from((*_PIECES, *"()[]{}\"'/*;,0ag \n\f\0\xa0ü"))).map("".join))
def test_of_every_url_it_is_known_where_it_ends(css: str) -> None:
    urls: list[str] = []

    def replace(url: str) -> str:
        urls.append(url)
        return "new"

    assert seen_in(rewrite_urls(css, replace)) == ["new"] * len(urls)


@given(
    st.lists(
        st.sampled_from(["a{b:url(X)}", "@import 'X';", "/* \n */", "c{d:'\\'url(X)'}", "\n", "ü{}", "e{f:url('X')}"])
    )
)
def test_all_urls_change_wherever_they_stand(parts: list[str]) -> None:
    expected = "".join(part if part.startswith("c") else part.replace("X", "new") for part in parts)
    assert rewrite_urls("".join(parts), lambda url: "new") == expected
