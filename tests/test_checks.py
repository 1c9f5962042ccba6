"""System checks: what cannot work is an error, what is probably not meant a warning, and nobody is asked anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage, Error
from django.test import override_settings

from localmirror.checks import check_mirrored_storages

from .corpus import Project
from .rigs import Rig

STATIC = "localmirror.backends.s3.MirroredS3StaticStorage"
MEDIA = "localmirror.backends.s3.MirroredS3Storage"
NOWHERE = "http://127.0.0.1:9"


def found(
    tmp_path: Path,
    alias: str = "staticfiles",
    backend: str = STATIC,
    *,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> list[CheckMessage]:
    entry = {"BACKEND": backend, "OPTIONS": {"bucket_name": "site", "endpoint_url": NOWHERE, **options}}
    words = {
        "STORAGES": {alias: entry},
        "STATIC_ROOT": str(tmp_path / "mirror"),
        "STATIC_URL": "https://static.example.com/",
        "STATICFILES_DIRS": [],
        "INSTALLED_APPS": ["localmirror", "django.contrib.staticfiles"],
        **(settings or {}),
    }
    from django.contrib.staticfiles.finders import get_finder

    with override_settings(**words):
        get_finder.cache_clear()
        try:
            return check_mirrored_storages(None)
        finally:
            get_finder.cache_clear()


def ids(messages: list[CheckMessage]) -> list[str | None]:
    return [message.id for message in messages]


def test_nothing_to_find_with_a_mirror_that_does_not_exist_yet(tmp_path: Path) -> None:
    assert found(tmp_path, custom_domain="static.example.com") == []


def test_no_mirror_directory(tmp_path: Path) -> None:
    messages = found(tmp_path, "default", MEDIA)
    assert ids(messages) == ["localmirror.E001"]
    assert "mirror_location" in str(messages[0].hint)
    assert ids(found(tmp_path, settings={"STATIC_ROOT": None})) == ["localmirror.E001"]
    assert found(tmp_path, "default", MEDIA, mirror_location=str(tmp_path / "media")) == []


@pytest.mark.parametrize("inside", ["", "deep/inside"])
def test_mirror_among_the_sources(tmp_path: Path, inside: str) -> None:
    source = tmp_path / "source"
    (source / inside).mkdir(parents=True)
    settings = {"STATICFILES_DIRS": [str(source)], "STATIC_ROOT": str(tmp_path / "other")}
    options = {"custom_domain": "static.example.com", "mirror_location": str(source / inside)}
    messages = found(tmp_path, settings=settings, **options)
    assert ids(messages) == ["localmirror.E002"]
    assert str(source) in messages[0].msg


def test_a_custom_domain_with_a_scheme(tmp_path: Path) -> None:
    messages = found(tmp_path, custom_domain="https://static.example.com/")
    assert "localmirror.E003" in ids(messages)
    assert messages[0].hint == "'custom_domain': 'static.example.com'"


@pytest.mark.parametrize("domain", [None, "static.example.com"])
def test_signed_urls_for_static_files(tmp_path: Path, domain: str | None) -> None:
    assert ids(found(tmp_path, querystring_auth=True, custom_domain=domain)) == ["localmirror.E004"]
    media = found(tmp_path, "default", MEDIA, querystring_auth=True, mirror_location=str(tmp_path / "media"))
    assert media == []


def test_an_option_that_does_not_exist(tmp_path: Path) -> None:
    messages = found(tmp_path, mirror_locaton="here")
    assert ids(messages) == ["localmirror.E005"]
    assert "Did you mean 'mirror_location'?" in messages[0].msg
    assert all(isinstance(message, Error) for message in messages)


@pytest.mark.parametrize(
    ("static_url", "options", "hint"),
    [
        ("/static/", {"custom_domain": "static.example.com"}, "STATIC_URL = 'https://static.example.com/'"),
        (
            "https://static.example.com/",
            {"custom_domain": "static.example.com", "location": "v1"},
            "STATIC_URL = 'https://static.example.com/v1/'",
        ),
        ("/static/", {}, "STATIC_URL = 'https://<the domain"),
        ("https://elsewhere.example.com/", {"addressing_style": "path"}, f"STATIC_URL = '{NOWHERE}/site/'"),
    ],
)
def test_static_url_and_the_storage_disagree(
    tmp_path: Path, static_url: str, options: dict[str, Any], hint: str
) -> None:
    messages = found(tmp_path, settings={"STATIC_URL": static_url}, **options)
    assert ids(messages) == ["localmirror.W001"]
    assert str(messages[0].hint).startswith(hint)


def test_another_apps_collectstatic_wins(tmp_path: Path) -> None:
    from django.core.management import get_commands

    get_commands.cache_clear()
    try:
        settings = {"INSTALLED_APPS": ["django.contrib.staticfiles", "localmirror"]}
        messages = found(tmp_path, settings=settings, custom_domain="static.example.com")
    finally:
        get_commands.cache_clear()
    assert ids(messages) == ["localmirror.W002"]
    assert "'django.contrib.staticfiles'" in messages[0].msg


def test_uploads_inside_the_mirror(tmp_path: Path) -> None:
    settings = {"MEDIA_ROOT": str(tmp_path / "mirror" / "media")}
    assert ids(found(tmp_path, settings=settings, custom_domain="static.example.com")) == ["localmirror.W003"]


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    assert found(tmp_path, backend="django.contrib.staticfiles.storage.StaticFilesStorage") == []
    assert found(tmp_path, backend="no.such.Storage") == []


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_checks_ask_nobody_and_stop_collectstatic(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    assert rig.wire is not None
    with rig.wire.recording() as seen:
        result = project.run("check", "--tag", "staticfiles")
    assert (result.returncode, seen.counts()) == (0, {}), result

    project.set_options(querystring_auth=True)
    result = project.run("collectstatic", "--no-input")
    assert result.returncode != 0
    assert "localmirror.E004" in result.stderr
    assert rig.raw_list() == []


def test_a_scheme_is_found_once(tmp_path: Path) -> None:
    assert ids(found(tmp_path, custom_domain="https://cdn.example.com/")) == ["localmirror.E003"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"mirror_location": 5}, "mirror_location is 5"),
        ({"cloudfront_key": b"no key", "cloudfront_key_id": "K"}, "ValueError"),
    ],
)
def test_a_storage_that_cannot_be_built(tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    (message,) = found(tmp_path, **options)
    assert message.id == "localmirror.E005"
    assert reason in message.msg


def test_static_files_without_the_role(tmp_path: Path) -> None:
    messages = found(tmp_path, backend=MEDIA, mirror_location=str(tmp_path / "mirror"))
    assert ids(messages) == ["localmirror.W004"]
    assert "StaticMirrorMixin" in str(messages[0].hint)


@pytest.mark.parametrize("alias", ["default", "staticfiles"])
def test_hashed_names_in_a_cache_that_keeps_nothing(tmp_path: Path, alias: str) -> None:
    backend = "localmirror.backends.s3.MirroredS3CachedStaticStorage"
    dummy = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    memory = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    options: dict[str, Any] = {"custom_domain": "static.example.com"}

    (message,) = found(tmp_path, backend=backend, settings={"CACHES": {"default": memory, alias: dummy}}, **options)
    assert message.id == "localmirror.W006"
    assert f"CACHES['{alias}']" in message.msg
    settings = {"CACHES": {"default": dummy, "staticfiles": memory}}
    assert found(tmp_path, backend=backend, settings=settings, **options) == []
    assert found(tmp_path, settings={"CACHES": {"default": dummy}}, **options) == []
