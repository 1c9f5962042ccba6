"""A site with compressed CSS and JavaScript on a rig, one project per host.

site = make_site(tmp_path / "one", rig)
assert site.run("collectstatic", "--no-input").returncode == 0
assert site.run("compress").returncode == 0
page = render(site)
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ..corpus import Corpus, Project
from ..rigs import Rig

FILTERS = {
    "css": [
        "localmirror.contrib.compressor.filters.HashedCssFilter",
        "compressor.filters.cssmin.rCSSMinFilter",
    ],
    "js": ["compressor.filters.jsmin.rJSMinFilter"],
}
APPS = ["localmirror", "localmirror.contrib.compressor", "django.contrib.staticfiles", "compressor"]
FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "compressor.finders.CompressorFinder",
]

PAGE = """{% load compress static %}<!doctype html>
{% compress css %}
<link rel="stylesheet" href="{% static 'css/site.css' %}">
<link rel="stylesheet" href="{% static 'css/theme/dark.css' %}">
<style>.inline { background: url("{% static 'img/logo.png' %}") }</style>
{% endcompress %}
{% compress css file plain %}<link rel="stylesheet" href="{{ STATIC_URL }}css/site.css">{% endcompress %}
{% compress css inline %}<link rel="stylesheet" href="{% static 'css/base.css' %}">{% endcompress %}
{% compress js preload %}<script src="{% static 'js/plain.js' %}"></script>{% endcompress %}
{% compress js %}<script src="{% static 'js/plain.js' %}"></script><script>var inline = 1;</script>{% endcompress %}
"""

#: What renders the page of a site as a web process does.
RENDER = """
from django.conf import settings
from django.template.loader import render_to_string
def render(name="page.html"):
    return render_to_string(name, {"STATIC_URL": settings.STATIC_URL})
"""


def make_site(
    directory: Path,
    rig: Rig,
    *,
    role: str = "manifest",
    door: str = "aliases",
    offline: bool = True,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> Project:
    """Return a project with a mirror of its own; ``door`` says how compressor finds its storages.

    ``options`` go to all storages, ``settings`` over those of the project.
    """
    mirror = directory / "mirror"
    storages = {
        "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
        "staticfiles": _entry(rig, role, options),
    }
    words: dict[str, Any] = {
        "INSTALLED_APPS": APPS,
        "STATICFILES_FINDERS": FINDERS,
        "STATIC_ROOT": str(mirror),
        "STATIC_URL": base_address(rig, **options),
        "STORAGES": storages,
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [str(directory / "project" / "templates")],
                "APP_DIRS": True,
            }
        ],
        "COMPRESS_ENABLED": True,
        "COMPRESS_OFFLINE": offline,
        "COMPRESS_OFFLINE_MANIFEST": "CACHE/manifest.json",
        "COMPRESS_FILTERS": FILTERS,
    }
    if door == "aliases":
        storages["compressor"] = _entry(rig, "compressor", options)
        storages["compressor-offine"] = _entry(rig, "compressor", options)
    else:
        words["COMPRESS_STORAGE"] = words["COMPRESS_OFFLINE_MANIFEST_STORAGE"] = "storage.CompressorStorage"
    home = directory / "project"
    corpus = Corpus.make(home / "static")
    corpus.write("js/plain.js", b"function greet(name) {\n    return 'hello ' + name;\n}\n")
    site = Project(
        home, {**words, **rig.settings, **(settings or {})}, environment=rig.environment, prelude=rig.prelude
    )
    if door != "aliases":
        (home / "storage.py").write_text(_storage_module(rig, options))
    write_template(site, "page.html", PAGE)
    return site


def _entry(rig: Rig, role: str, options: dict[str, Any]) -> dict[str, Any]:
    entry = rig.settings_for(role, **options)
    del entry["OPTIONS"]["mirror_location"]  # STATIC_ROOT and COMPRESS_ROOT say it
    return entry


def _storage_module(rig: Rig, options: dict[str, Any]) -> str:
    entry = _entry(rig, "compressor", options)
    module, _, name = entry["BACKEND"].rpartition(".")
    attributes = [f"    {key} = {value!r}" for key, value in entry["OPTIONS"].items()]
    return "\n".join([f"from {module} import {name}", "", f"class CompressorStorage({name}):", *attributes, ""])


def base_address(rig: Rig, **options: Any) -> str:
    """Return the address below which the rig's static files are public."""
    address = rig.storage("compressor", **options).base_address()
    assert address
    return str(address)


def write_template(site: Project, name: str, text: str) -> None:
    path = site.directory / "templates" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def deploy(site: Project) -> None:
    """Collect, publish and compress, in one process, which takes half the time of two."""
    commands = ("call_command('collectstatic', interactive=False)", "call_command('compress', force=True)")
    done = site.python("\n".join(("from django.core.management import call_command", *commands)))
    assert done.returncode == 0, done


def render(site: Project, times: int = 1) -> str:
    """Return the page as a new process renders it."""
    done = site.python(f"{RENDER}\nfor _ in range({times}): page = render()\nprint(page)")
    assert done.returncode == 0, done
    return done.stdout


def mirror_of(site: Project) -> Path:
    return Path(site.settings["STATIC_ROOT"])


def bundles(files: dict[str, bytes], kind: str = "css") -> dict[str, str]:
    """Return compressor's output among the files of a bucket or mirror."""
    return {
        name: content.decode() for name, content in files.items() if f"CACHE/{kind}/" in name and name.endswith(kind)
    }


def hashed_names(rig: Rig, prefix: str = "") -> set[str]:
    """Return the public names that the manifest of static files lists."""
    return set(json.loads(rig.raw_get(f"{prefix}staticfiles.json"))["paths"].values())


# Not the way the filter finds them.
_URL = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s*["']([^"']+)|src=["']([^"']+)""")


def urls_in(css: str) -> list[str]:
    return ["".join(found) for found in _URL.findall(css)]


def assert_urls_are_public(css: str, address: str, names: set[str]) -> None:
    """Every URL is foreign, or the address of one of the hashed names, with no cache-buster of its own."""
    found = urls_in(css)
    assert found
    for url in found:
        if url.startswith(("data:", "https://example.com/", "#")):
            continue
        assert url.startswith(address), url
        path, _, query = url.removeprefix(address).partition("#")[0].partition("?")
        assert unquote(path) in names, url
        assert query in ("", "v=1"), url
