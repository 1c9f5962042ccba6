"""HashedCssFilter: whatever CSS refers to gets its public, hashed address, and nothing else changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..corpus import Project
from .site import APPS, FINDERS

CDN = "https://cdn.example.com/static/"

MANIFEST = {
    "css/app.css": "css/app.aaaaaaaaaaaa.css",
    "css/base.css": "css/base.bbbbbbbbbbbb.css",
    "fonts/f.eot": "fonts/f.cccccccccccc.eot",
    "img/a.png": "img/a.111111111111.png",
    "img/a.b(1) 'c'.png": "img/a.b(1) 'c'.222222222222.png",
    "img/grün blatt.svg": "img/grün blatt.333333333333.svg",
    "img/100%.png": "img/100%.444444444444.png",
    # What a bundler has hashed already is an original like any other.
    "img/v.0123abcd.png": "img/v.0123abcd.555555555555.png",
    "LICENSE": "LICENSE.666666666666",
}

#: Runs the filter over [sheet, css] pairs from standard input's file, and prints what came of each.
CODE = """
import json
from localmirror.contrib.compressor.filters import HashedCssFilter
results = []
for sheet, css in json.load(open("cases.json")):
    filename = sheet and "/somewhere/" + sheet
    try:
        results.append(HashedCssFilter(css, filter_type="css").input(filename=filename, basename=sheet, kind="file"))
    except Exception as error:
        results.append(f"{type(error).__name__}: {error}")
print(json.dumps(results))
"""

Convert = Callable[..., list[str]]


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    """A function that runs the filter over style sheets, each a pair of name and content."""

    def run(*cases: tuple[str | None, str], backend: str = "", base: str = CDN, **settings: Any) -> list[str]:
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        (root / "staticfiles.json").write_text(json.dumps({"version": "1.1", "paths": MANIFEST, "hash": ""}))
        site = Project(
            tmp_path / "project",
            {
                "INSTALLED_APPS": APPS,
                "STATICFILES_FINDERS": FINDERS,
                "STATIC_ROOT": str(root),
                "STATIC_URL": base,
                "STORAGES": {
                    "staticfiles": {
                        "BACKEND": backend or "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
                    }
                },
                **settings,
            },
        )
        (site.directory / "storage.py").write_text(
            "from django.contrib.staticfiles.storage import ManifestStaticFilesStorage\n"
            "class Lenient(ManifestStaticFilesStorage):\n"
            "    manifest_strict = False\n"
        )
        (site.directory / "cases.json").write_text(json.dumps(cases))
        done = site.python(CODE)
        assert done.returncode == 0, done
        results: list[str] = json.loads(done.stdout)
        return results

    return run


#: Name of the style sheet, the URL in it, and what becomes of it.
URLS = [
    # Reached through {{ STATIC_URL }}: plain names.
    ("css/app.css", "../img/a.png", f"{CDN}img/a.111111111111.png"),
    ("css/app.css", "./../css/.././img/a.png", f"{CDN}img/a.111111111111.png"),
    ("css/app.css", "base.css", f"{CDN}css/base.bbbbbbbbbbbb.css"),
    ("app.css", "img/a.png", f"{CDN}img/a.111111111111.png"),
    ("css/app.css", "../LICENSE", f"{CDN}LICENSE.666666666666"),
    # Query and fragment stay, the oddity of @font-face too.
    ("css/app.css", "../fonts/f.eot?#iefix", f"{CDN}fonts/f.cccccccccccc.eot?#iefix"),
    ("css/app.css", "../fonts/f.eot?v=1.2#x", f"{CDN}fonts/f.cccccccccccc.eot?v=1.2#x"),
    ("css/app.css", "../fonts/f.eot#x?y", f"{CDN}fonts/f.cccccccccccc.eot#x?y"),
    # Percent-encoding, on both sides.
    ("css/app.css", "../img/gr%C3%BCn%20blatt.svg", f"{CDN}img/gr%C3%BCn%20blatt.333333333333.svg"),
    ("css/app.css", "../img/grün blatt.svg", f"{CDN}img/gr%C3%BCn%20blatt.333333333333.svg"),
    ("css/app.css", "../img/100%25.png", f"{CDN}img/100%25.444444444444.png"),
    ("css/app.css", "../img/a.b(1) %27c%27.png", f"{CDN}img/a.b%281%29%20%27c%27.222222222222.png"),
    # Reached through {% static %}: hashed names, in sheet and URL.
    ("css/app.aaaaaaaaaaaa.css", "../img/a.111111111111.png", f"{CDN}img/a.111111111111.png"),
    ("css/app.aaaaaaaaaaaa.css", "../img/a.png", f"{CDN}img/a.111111111111.png"),
    ("css/app.aaaaaaaaaaaa.css", "../img/v.0123abcd.555555555555.png", f"{CDN}img/v.0123abcd.555555555555.png"),
    ("css/app.css", "../img/v.0123abcd.png", f"{CDN}img/v.0123abcd.555555555555.png"),
    # Absolute URLs of static files, however they are spelt.
    ("css/app.css", f"{CDN}img/a.png?x", f"{CDN}img/a.111111111111.png?x"),
    ("css/app.css", "//cdn.example.com/static/img/a.png", f"{CDN}img/a.111111111111.png"),
    ("css/app.css", "/static/img/a.png", f"{CDN}img/a.111111111111.png"),
    ("css/app.css", f"{CDN}css/../img/a.png", f"{CDN}img/a.111111111111.png"),
    # What is no static file.
    ("css/app.css", "data:image/png;base64,AAAA", None),
    ("css/app.css", "https://example.com/static/img/a.png", None),
    ("css/app.css", "//example.com/a.png", None),
    ("css/app.css", "HTTP://example.com/a.png", None),
    ("css/app.css", "/media/a.png", None),
    ("css/app.css", "/staticky/a.png", None),
    ("css/app.css", "#gradient", None),
    ("css/app.css", "?x", None),
    ("css/app.css", "", None),
    ("css/app.css", "about:blank", None),
    # Relative, but not to a file: made absolute, since the bundle lies elsewhere.
    ("css/app.css", "../../media/a.png", "https://cdn.example.com/media/a.png"),
    ("css/app.css", "../img/", f"{CDN}img/"),
    ("css/app.css", "../..", "https://cdn.example.com/"),
    # Inline CSS: relative to the page, which nobody knows here.
    (None, "img/a.png", None),
    (None, "/static/img/a.png", None),
    (None, f"{CDN}img/a.png", f"{CDN}img/a.111111111111.png"),
    (None, f"{CDN}img/a.111111111111.png", f"{CDN}img/a.111111111111.png"),
]


def test_urls_in_every_situation(convert: Convert) -> None:
    results = convert(*((sheet, f'a{{b:url("{url}")}}') for sheet, url, _ in URLS))
    wanted = [f'a{{b:url("{url if new is None else new}")}}' for _, url, new in URLS]
    assert dict(zip(URLS, results, strict=True)) == dict(zip(URLS, wanted, strict=True))


def test_every_form_of_a_url_is_rewritten(convert: Convert) -> None:
    css = (
        '@import "base.css" screen;a{b:url(../img/a.png);c:image-set("../img/a.png" 1x)}'
        "i{filter:progid:X.AlphaImageLoader(src='../img/a.png')}"
    )
    result = (
        f'@import "{CDN}css/base.bbbbbbbbbbbb.css" screen;a{{b:url({CDN}img/a.111111111111.png);'
        f'c:image-set("{CDN}img/a.111111111111.png" 1x)}}'
        f"i{{filter:progid:X.AlphaImageLoader(src='{CDN}img/a.111111111111.png')}}"
    )
    assert convert(("css/app.css", css)) == [result]


def test_a_file_that_the_manifest_does_not_list_is_an_error_that_names_both(convert: Convert) -> None:
    missing, hashed, absolute = convert(
        ("css/app.css", "a{b:url('../img/none.png?x')}"),
        ("css/app.aaaaaaaaaaaa.css", "a{b:url(../img/a.000000000000.png)}"),
        ("css/app.css", "a{b:url(/static/none.png)}"),
    )
    assert missing.startswith("UnknownStaticFileError: css/app.css refers to '../img/none.png?x'")
    assert "'img/none.png'" in missing
    assert "'img/a.000000000000.png'" in hashed
    assert "'none.png'" in absolute


def test_without_manifest_strict_it_keeps_its_plain_name(convert: Convert) -> None:
    cases = [("css/app.css", "a{b:url(../img/none.png?x)}"), ("css/app.css", "a{b:url(../img/a.png)}")]
    assert convert(*cases, backend="storage.Lenient") == [
        f"a{{b:url({CDN}img/none.png?x)}}",
        f"a{{b:url({CDN}img/a.111111111111.png)}}",
    ]


def test_a_path_for_a_static_url(convert: Convert) -> None:
    cases = [("css/app.css", "a{b:url(../img/a.png)}"), (None, "a{b:url(/static/img/a.png)}")]
    assert convert(*cases, base="/static/") == ["a{b:url(/static/img/a.111111111111.png)}"] * 2


def test_a_bucket_without_a_directory_does_not_claim_every_rooted_url(convert: Convert) -> None:
    base = "https://cdn.example.com/"
    urls = ("/img/a.png", "/media/a.png", "../img/a.png", "//example.com/img/a.png", "//cdn.example.com/img/a.png")
    cases = [("css/app.css", f"a{{b:url({url})}}") for url in urls]
    ours = f"a{{b:url({base}img/a.111111111111.png)}}"
    foreign = "a{b:url(//example.com/img/a.png)}"
    assert convert(*cases, base=base) == [ours, "a{b:url(/media/a.png)}", ours, foreign, ours]
    assert convert(cases[3], base=base, DEBUG=True) == [foreign]


def test_names_stay_plain_where_pages_have_them_plain_too(convert: Convert) -> None:
    case = ("css/app.css", "a{b:url(../img/none.png#x)}")
    plain = [f"a{{b:url({CDN}img/none.png#x)}}"]
    assert convert(case, DEBUG=True) == plain
    assert convert(case, backend="django.contrib.staticfiles.storage.StaticFilesStorage") == plain


def test_another_hashing_storage(convert: Convert) -> None:
    backend = "django_manifeststaticfiles_enhanced.storage.EnhancedManifestStaticFilesStorage"
    case = ("css/app.css", "a{b:url(../fonts/f.eot?#iefix)}")
    assert convert(case, backend=backend) == [f"a{{b:url({CDN}fonts/f.cccccccccccc.eot?#iefix)}}"]


def test_names_from_the_cache(convert: Convert) -> None:
    cases = [
        ("css/app.css", "a{b:url(../img/a.png)}"),
        ("css/app.aaaaaaaaaaaa.css", "a{b:url(../img/a.111111111111.png)}"),
    ]
    results = convert(*cases, backend="localmirror.cached.CachedStaticFilesStorage")
    assert results == [f"a{{b:url({CDN}img/a.111111111111.png)}}"] * 2
