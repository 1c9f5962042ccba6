"""What the pages on django-compressor tell people to write works, and the messages that they explain are real."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import compressor
import django
import pytest

from localmirror.contrib.compressor.checks import SUCCESSORS

from ..corpus import REPOSITORY, Corpus, Project
from ..rigs import S3MotoRig, prepared
from .site import PAGE, RENDER, assert_urls_are_public, bundles, hashed_names, render, write_template

DOCS = REPOSITORY / "docs" / "compressor"
ADDRESS = "https://static.example.com/static/"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[S3MotoRig]:
    with prepared(S3MotoRig, tmp_path) as ready:
        yield ready


def code(name: str) -> str:
    """Return the code block of that name."""
    page = (DOCS / "index.rst").read_text(encoding="utf-8")
    found = re.search(rf"^\.\. code-block:: python\n   :name: {name}\n\n((?:   .*\n|\n)+)", page, re.MULTILINE)
    assert found, name
    return textwrap.dedent(found[1])


class Documented(Project):
    """A project whose settings are a page's, and after them what leads to the rig."""

    text = ""

    def write(self) -> None:
        super().write()
        settings = self.directory / "settings.py"
        ours = settings.read_text()
        before = f"from pathlib import Path\nBASE_DIR = Path({str(self.directory)!r})\n"
        settings.write_text(f"{ours}\n{before}{self.text}")


def make(tmp_path: Path, rig: S3MotoRig, text: str) -> Project:
    options = {key: value for key, value in rig.options("manifest").items() if key not in ("bucket_name",)}
    connect = (
        f"_options = {options!r}\n"
        "for _entry in STORAGES.values():\n"
        "    if 'localmirror' in _entry['BACKEND']:\n"
        f"        _entry['OPTIONS'] = {{**_entry['OPTIONS'], **_options, 'bucket_name': {rig.bucket!r}}}\n"
    )
    Documented.text = text + connect
    home = tmp_path / "project"
    templates = {"DIRS": [str(home / "templates")], "APP_DIRS": True}
    backend = "django.template.backends.django.DjangoTemplates"
    site = Documented(home, {"TEMPLATES": [{"BACKEND": backend, **templates}]})
    Corpus.make(home / "static").write("js/plain.js", b"var a = 1;\n")
    write_template(site, "page.html", PAGE)
    return site


def assert_works(site: Project, rig: S3MotoRig) -> None:
    for command in (
        ["check", "--tag", "staticfiles", "--fail-level", "WARNING"],
        ["collectstatic", "--noinput"],
        ["compress"],
    ):
        done = site.run(*command)
        assert done.returncode == 0, done
    names = hashed_names(rig, "static/")
    assert "static/CACHE/manifest.json" in rig.raw_list()
    output = bundles(rig.raw_all())
    assert len(output) == 2
    for css in output.values():
        assert_urls_are_public(css, ADDRESS, names)
    assert f'"{ADDRESS}CACHE/css/output.' in render(site)


def test_the_settings_in_one_piece(rig: S3MotoRig, tmp_path: Path) -> None:
    assert_works(make(tmp_path, rig, code("compressor-settings")), rig)


def test_the_settings_of_django_compressor_with_a_class(rig: S3MotoRig, tmp_path: Path) -> None:
    without_aliases = "del STORAGES['compressor'], STORAGES['compressor-offine']\n"
    site = make(tmp_path, rig, code("compressor-settings") + without_aliases + code("compressor-class-settings"))
    options = {**rig.options("compressor"), "bucket_name": rig.bucket}
    attributes = "".join(f"    {key} = {value!r}\n" for key, value in options.items())
    (site.directory / "storage.py").write_text(code("compressor-class") + attributes)
    assert_works(site, rig)


def test_a_process_that_begins_as_documented_reads_each_manifest_once(rig: S3MotoRig, tmp_path: Path) -> None:
    site = make(tmp_path, rig, code("compressor-settings"))
    for command in ("collectstatic --noinput", "compress"):
        assert site.run(*command.split()).returncode == 0
    threads = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(16) as pool:\n"
        "    pages = set(pool.map(lambda _: render(), range(16)))\n"
        "assert len(pages) == 1\n"
    )
    with rig.wire.recording() as seen:
        done = site.python(f"{RENDER}\n{code('compressor-wsgi')}\n{threads}")
    assert done.returncode == 0, done
    assert sorted(seen.names("download")) == ["static/CACHE/manifest.json", "static/staticfiles.json"]
    assert len(seen) == 2


def test_every_old_setting_has_its_row() -> None:
    page = (DOCS / "settings.rst").read_text(encoding="utf-8")
    left = {
        name
        for row in re.findall(r"^   \* - (.+)\n     - ", page, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert set(SUCCESSORS) <= left


def test_every_storage_of_compressors_has_its_row() -> None:
    page = (DOCS / "settings.rst").read_text(encoding="utf-8")
    source = (Path(compressor.__path__[0]) / "storage.py").read_text(encoding="utf-8")
    classes = re.findall(r"^class (\w+FileStorage)\b", source, re.MULTILINE)
    assert len(classes) == 4
    assert [name for name in classes if f"`compressor.storage.{name}`" not in page] == []


@pytest.mark.parametrize(
    ("package", "words"),
    [
        (compressor, "isn't accessible via"),
        (compressor, "could not be found in the COMPRESS_ROOT"),
        (compressor, "is missing from offline manifest"),
        (compressor, "block(s) from"),
        (compressor, "No 'compress' template tags found in templates"),
        (compressor, "please define either"),
        (compressor, "please add 'compressor.finders.CompressorFinder' to the"),
        (django, "Missing staticfiles manifest entry for"),
        (django, "This backend doesn't support absolute paths."),
        (None, "but the manifest of static files has no"),
        (None, "hashes names, which compressor's output has in them already"),
        (None, "configure it to overwrite existing files"),
        (None, "The offline manifest could not be written to"),
        (None, "cannot be read: "),
        (None, ", and the copy in the mirror "),
        (None, " in the mirror may be older than what is in "),
        (django, "name in 'extends' tag: "),
        (None, "that this process is pinned to (mirror_release) is not published"),
    ],
)
def test_a_message_that_is_explained_is_one_that_appears(package: object, words: str) -> None:
    root = Path(package.__path__[0]) if package else REPOSITORY / "localmirror"
    sources = (file.read_text(encoding="utf-8") for file in root.rglob("*.py") if "tests" not in file.parts)
    assert any(words in source for source in sources)
    page = (DOCS / "troubleshooting.rst").read_text(encoding="utf-8")
    assert words in page
