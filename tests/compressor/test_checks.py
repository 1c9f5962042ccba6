"""System checks: each finds what it is for, says what to write instead, and asks nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from localmirror.contrib.compressor.checks import SUCCESSORS

from ..corpus import Project
from ..rigs import S3MotoRig, prepared
from .site import FILTERS, make_site

#: Runs the checks under each of the settings in a file, and prints what they find.
CODE = """
import json, sys
from django.test import override_settings
from localmirror.contrib.compressor.checks import check_compressor
for line in open("variants.jsonl"):
    with override_settings(**json.loads(line)):
        found = check_compressor(None)
        print(json.dumps([[message.id, message.msg, message.hint] for message in found]))
"""

S3 = "localmirror.backends.s3"
ABSOLUTE = "compressor.filters.css_default.CssAbsoluteFilter"


class Finding(NamedTuple):
    id: str
    message: str
    hint: str


class Checker:
    """Runs the checks on variants of a sound site."""

    def __init__(self, site: Project) -> None:
        self.site = site
        self.storages = site.settings["STORAGES"]

    def __call__(self, **settings: Any) -> list[Finding]:
        (self.site.directory / "variants.jsonl").write_text(json.dumps(settings, default=str))
        done = self.site.python(CODE)
        assert done.returncode == 0, done
        return [Finding(*row) for row in json.loads(done.stdout)]

    def ids(self, **settings: Any) -> list[str]:
        return [found.id.removeprefix("localmirror.") for found in self(**settings)]

    def with_options(self, *aliases: str, backend: str | None = None, **options: Any) -> dict[str, Any]:
        """Return STORAGES with other options, or another class, under some aliases."""
        changed = {}
        for alias in aliases:
            entry = self.storages[alias]
            changed[alias] = {"BACKEND": backend or entry["BACKEND"], "OPTIONS": {**entry["OPTIONS"], **options}}
        return {"STORAGES": {**self.storages, **changed}}

    def without(self, *aliases: str) -> dict[str, Any]:
        return {alias: entry for alias, entry in self.storages.items() if alias not in aliases}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3MotoRig]:
    with prepared(S3MotoRig, tmp_path_factory.mktemp("checks")) as ready:
        yield ready
        assert ready.wire.requests == []  # no check has asked the remote


@pytest.fixture(scope="module")
def check(rig: S3MotoRig) -> Checker:
    return Checker(make_site(rig.directory / "one", rig))


def test_a_sound_site_has_no_finding(check: Checker, rig: S3MotoRig) -> None:
    assert check() == []
    done = check.site.run("check", "--tag", "staticfiles", "--fail-level", "WARNING")
    assert done.returncode == 0, done


def test_so_has_one_with_classes_of_its_own(rig: S3MotoRig) -> None:
    site = make_site(rig.directory / "two", rig, door="settings")
    assert site.run("check", "--tag", "staticfiles", "--fail-level", "WARNING").returncode == 0


def test_a_backend_that_cannot_be_imported(check: Checker) -> None:
    wrong, right = f"{S3}.MirroredS3CompresorStorage", f"{S3}.MirroredS3CompressorStorage"
    for alias in ("compressor", "compressor-offine"):
        (found,) = check(**check.with_options(alias, backend=wrong))
        assert found.id == "localmirror.E101"
        assert found.message.startswith(f"STORAGES['{alias}']['BACKEND'] is {wrong!r}, which cannot be imported: ")
        assert found.message.endswith(". django-compressor would silently write to local disk instead.")
        assert found.hint == f"'BACKEND': {right!r}"
    found, *_ = check(STORAGES=check.without("compressor"), COMPRESS_STORAGE="nowhere.Storage")
    assert found.id == "localmirror.E101"
    assert found.message.startswith("COMPRESS_STORAGE is 'nowhere.Storage', which cannot be imported: No module named")
    assert found.message.endswith(". Nothing could be compressed.")
    assert found.hint.startswith(f"COMPRESS_STORAGE = {right!r}")


def test_an_alias_without_a_backend(check: Checker) -> None:
    storages = {**check.storages, "compressor": {"OPTIONS": {}}}
    (found,) = check(STORAGES=storages)
    assert found.id == "localmirror.E101"
    assert found.message == "STORAGES['compressor'] has no 'BACKEND'. Nothing could be compressed."


def test_a_storage_that_cannot_be_used(check: Checker) -> None:
    backend = f"{S3}.MirroredS3CompressorStorage"
    (found,) = check(STORAGES=check.without("compressor"), COMPRESS_STORAGE=backend)
    assert found.id == "localmirror.W005"
    assert found.message.startswith("COMPRESS_STORAGE has no 'bucket_name'")
    (found,) = check(**check.with_options("compressor", endpoint_url="nowhere", secret_key="endpoint: now"))
    assert found.id == "localmirror.E005"
    assert found.message == "STORAGES['compressor'] cannot be used: ValueError: Invalid ***here"


def test_what_localmirrors_own_checks_say_is_said_once(check: Checker) -> None:
    unset = check.with_options("staticfiles", "compressor", "compressor-offine", bucket_name=None)
    assert check(**unset) == []
    apps = ["localmirror.contrib.compressor", "django.contrib.staticfiles", "compressor"]
    assert check.ids(INSTALLED_APPS=apps, **unset) == ["W005"] * 3
    site = Project(check.site.directory.parent / "unset", {**check.site.settings, **unset})
    done = site.run("check")
    assert done.returncode == 0
    assert done.stderr.count("localmirror.W005") == 3
    assert "Traceback" not in done.stderr


def test_without_compressors_finder(check: Checker) -> None:
    finders = check.site.settings["STATICFILES_FINDERS"][:-1]
    site = Project(check.site.directory.parent / "finders", {**check.site.settings, "STATICFILES_FINDERS": finders})
    done = site.run("check")
    assert done.returncode == 1
    assert "localmirror.E108" in done.stderr
    assert "[*STATICFILES_FINDERS, 'compressor.finders.CompressorFinder']" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_offline_manifests_storage_does_not_matter_without_one(check: Checker) -> None:
    wrong = check.with_options("compressor-offine", backend="nowhere.Storage")
    assert check(COMPRESS_OFFLINE=False, **wrong) == []


def test_hashing_of_what_is_hashed_already(check: Checker) -> None:
    (found,) = check(**check.with_options("compressor", backend=f"{S3}.MirroredS3ManifestStaticStorage"))
    assert found.id == "localmirror.E102"
    assert found.hint == f"'BACKEND': '{S3}.MirroredS3CompressorStorage'"
    stock = {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}
    assert check.ids(STORAGES={**check.storages, "compressor": stock}) == ["E102"]


def test_a_class_for_static_files(check: Checker) -> None:
    (found,) = check(**check.with_options("compressor", backend=f"{S3}.MirroredS3StaticStorage"))
    assert found.id == "localmirror.W107"
    assert found.hint == f"'BACKEND': '{S3}.MirroredS3CompressorStorage'"


def test_signed_urls(check: Checker) -> None:
    (found,) = check(**check.with_options("compressor", querystring_auth=True))
    assert found.id == "localmirror.E103"
    assert found.hint == "Add to STORAGES['compressor']['OPTIONS']: 'querystring_auth': False"


def test_static_url_and_compress_url(check: Checker) -> None:
    local = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    storages = {**check.storages, "staticfiles": local}
    (found,) = check(STORAGES=storages, STATIC_URL="/static/")
    assert (found.id, found.hint) == ("localmirror.E104", "COMPRESS_URL = STATIC_URL")


@pytest.mark.parametrize(
    "options",
    [
        {"custom_domain": "cdn.example.com"},
        {"custom_domain": "cdn.example.com", "url_protocol": "http:"},
        {"location": "static"},
    ],
)
def test_addresses_that_do_not_fit(check: Checker, options: dict[str, str]) -> None:
    both = check(**check.with_options("staticfiles", "compressor", **options))
    assert [found.id for found in both] == ["localmirror.E105"] * 2
    domain = options.get("custom_domain")
    assert (
        f"{options.get('url_protocol', 'https:')}//{domain}/" in both[0].hint if domain else "/static/" in both[0].hint
    )
    one = check(**check.with_options("compressor", **options))
    assert [found.id for found in one] == ["localmirror.E105"]
    assert "STORAGES['compressor']" in one[0].message


def test_addresses_that_fit(check: Checker) -> None:
    options = {"custom_domain": "cdn.example.com", "location": "static", "url_protocol": "https:"}
    url = "https://cdn.example.com/static/"
    changed = check.with_options("staticfiles", "compressor", "compressor-offine", **options)
    assert check(STATIC_URL=url, COMPRESS_URL=url, **changed) == []


def test_static_files_in_a_directory_of_compressors_storage(check: Checker) -> None:
    url = check.site.settings["STATIC_URL"]
    root = check.site.settings["STATIC_ROOT"]
    changed = check.with_options("staticfiles", location="static", mirror_location=f"{root}/static")
    assert check(STATIC_URL=f"{url}static/", COMPRESS_URL=url, **changed) == []


def test_a_static_file_with_the_name_of_the_offline_manifest(check: Checker) -> None:
    check.site.corpus.write("manifest.json", b"{}")
    try:
        assert check() == []
        (found,) = check(COMPRESS_OFFLINE_MANIFEST="manifest.json")
        written_nowhere = check(COMPRESS_OFFLINE_MANIFEST="manifest.json", COMPRESS_OFFLINE=False)
    finally:
        check.site.corpus.remove("manifest.json")
    assert written_nowhere == []
    assert found.id == "localmirror.E106"
    assert "static/manifest.json" in found.message
    assert found.hint == "COMPRESS_OFFLINE_MANIFEST = 'CACHE/manifest.json'"
    assert check(COMPRESS_OFFLINE_MANIFEST="manifest.json") == []


def test_the_right_spelling_of_the_offline_alias(check: Checker) -> None:
    storages = check.without("compressor-offine")
    storages["compressor-offline"] = check.storages["compressor-offine"]
    found, *others = check(STORAGES=storages)
    assert found.id == "localmirror.E107"
    assert found.hint == "COMPRESS_OFFLINE_MANIFEST_STORAGE_ALIAS = 'compressor-offline'"
    assert [other.id for other in others] == ["localmirror.W106"]
    assert check(STORAGES=storages, COMPRESS_OFFLINE_MANIFEST_STORAGE_ALIAS="compressor-offline") == []


def test_an_offline_manifest_that_stays_on_this_host(check: Checker) -> None:
    (found,) = check(STORAGES=check.without("compressor-offine"))
    assert found.id == "localmirror.W106"
    assert found.hint == "STORAGES['compressor-offine'] = STORAGES['compressor']"
    assert check(STORAGES=check.without("compressor-offine"), COMPRESS_OFFLINE=False) == []


def test_two_directories(check: Checker, rig: S3MotoRig) -> None:
    (found,) = check(**check.with_options("compressor", mirror_location=str(rig.directory / "other")))
    assert found.id == "localmirror.W101"
    assert "STORAGES['compressor']" in found.message
    assert check.ids(STATIC_ROOT=str(rig.directory / "other")) == ["W101"]


def test_a_setting_that_an_alias_hides(check: Checker) -> None:
    (found,) = check(COMPRESS_STORAGE=f"{S3}.MirroredS3Storage")
    assert found.id == "localmirror.W102"
    assert found.hint == "Remove COMPRESS_STORAGE, or STORAGES['compressor']."
    assert check(COMPRESS_STORAGE=f"{S3}.MirroredS3CompressorStorage") == []


def test_filters_that_know_no_hashed_names(check: Checker) -> None:
    filters = {**FILTERS, "css": [ABSOLUTE]}
    assert check.ids(COMPRESS_FILTERS=filters) == ["W104", "W103"]
    content = {"COMPRESS_FILTERS": filters, "COMPRESS_CSS_HASHING_METHOD": "content"}
    (found,) = check(**content)
    assert found.id == "localmirror.W104"
    assert FILTERS["css"][0] in found.hint
    assert check(**content, **check.with_options("staticfiles", backend=f"{S3}.MirroredS3StaticStorage")) == []


@pytest.mark.parametrize("name", ["STATICFILES_STORAGE", "COMPRESS_CSS_FILTERS", "COMPRESS_CSS_INVALIDATION_METHOD"])
def test_settings_that_do_nothing_any_more(check: Checker, name: str) -> None:
    (found,) = check(**{name: "x"})
    assert found.id == "localmirror.W105"
    assert name in found.message
    assert found.hint == f"Remove it. {SUCCESSORS[name]}"


@pytest.mark.parametrize("name", list(SUCCESSORS))
def test_what_takes_their_place_is_said_in_a_sentence(name: str) -> None:
    sentence = SUCCESSORS[name]
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert "nothing" not in sentence


def test_nothing_reads_those_settings_indeed() -> None:
    import compressor
    import django
    import storages

    for package in (compressor, django, storages):
        for file in Path(package.__path__[0]).rglob("*.py"):
            if "tests" not in file.parts:
                source = file.read_text(encoding="utf-8")
                assert [name for name in SUCCESSORS if f'"{name}"' in source or f"settings.{name}" in source] == [], (
                    file
                )


def test_an_error_stops_collectstatic(check: Checker) -> None:
    site = Project(check.site.directory.parent / "broken", {**check.site.settings, "COMPRESS_URL": "/elsewhere/"})
    done = site.run("collectstatic", "--no-input")
    assert done.returncode == 1
    assert "localmirror.E105" in done.stderr


def test_the_app_before_compressor(check: Checker) -> None:
    apps = ["localmirror", "django.contrib.staticfiles", "compressor", "localmirror.contrib.compressor"]
    site = Project(check.site.directory.parent / "later", {**check.site.settings, "INSTALLED_APPS": apps})
    done = site.run("check", "--tag", "staticfiles")
    assert "localmirror.W002" in done.stderr
    assert "'localmirror.contrib.compressor' before 'compressor'" in done.stderr


def test_without_compressor_there_is_nothing_to_check(check: Checker) -> None:
    apps = ["localmirror", "django.contrib.staticfiles", "localmirror.contrib.compressor"]
    finders = check.site.settings["STATICFILES_FINDERS"][:-1]
    settings = {**check.site.settings, "INSTALLED_APPS": apps, "STATICFILES_FINDERS": finders}
    site = Project(check.site.directory.parent / "alone", {**settings, "COMPRESS_ROOT": settings["STATIC_ROOT"]})
    assert "localmirror.W1" not in site.run("check", "--tag", "staticfiles").stderr
