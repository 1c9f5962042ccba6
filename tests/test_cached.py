"""Hashed names in Django's cache: local memory, Redis and Memcached, each a real one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.files.base import ContentFile

from localmirror.hashing import CachedStaticFilesStorage

from .corpus import Project
from .rigs import Rig, S3MotoRig, prepared
from .servers import free_port, require, shared
from .servers.memcached import Memcached
from .servers.redis import Redis

BACKENDS = {
    "locmem": "django.core.cache.backends.locmem.LocMemCache",
    "redis": "django.core.cache.backends.redis.RedisCache",
    "memcached": "django.core.cache.backends.memcached.PyMemcacheCache",
}


@pytest.fixture(params=list(BACKENDS))
def cache_settings(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    location = {
        "locmem": lambda: str(tmp_path),
        "redis": lambda: shared(require(Redis)).url,
        "memcached": lambda: shared(require(Memcached)).location,
    }[request.param]()
    entry = {"BACKEND": BACKENDS[request.param], "LOCATION": location, "KEY_PREFIX": tmp_path.name}
    return {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}, "staticfiles": entry}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with prepared(S3MotoRig, tmp_path) as rig:
        yield rig


def site(tmp_path: Path, rig: Rig, cache_settings: dict[str, Any], **options: Any) -> Project:
    return Project.make(tmp_path, rig, role="cached", settings={"CACHES": cache_settings}, **options)


@contextlib.contextmanager
def host(project: Project, mirror: Path, **options: Any) -> Iterator[Any]:
    """A storage as another host builds it: with a mirror of its own, in the same settings."""
    entry = project.settings["STORAGES"]["staticfiles"]
    from django.utils.module_loading import import_string

    with project.active():
        yield import_string(entry["BACKEND"])(**{**entry["OPTIONS"], "mirror_location": str(mirror), **options})


def hashed(rig: Rig, name: str) -> list[str]:
    stem, _, extension = name.rpartition(".")
    return [n for n in rig.raw_list() if n.startswith(f"{stem}.") and n.endswith(f".{extension}") and n != name]


def test_a_start_reads_nothing_and_a_warm_cache_costs_no_request(
    tmp_path: Path, rig: Rig, cache_settings: dict[str, Any]
) -> None:
    project = site(tmp_path, rig, cache_settings)
    project.call("collectstatic", interactive=False)

    with rig.wire.recording() as seen, host(project, tmp_path / "other") as storage:
        url = storage.url("img/logo.png")

    assert url.endswith(hashed(rig, "img/logo.png")[0].rpartition("/")[2])
    assert seen.counts() == {}


def test_after_a_flush_the_names_are_read_from_the_remote_once(
    tmp_path: Path, rig: Rig, cache_settings: dict[str, Any]
) -> None:
    project = site(tmp_path, rig, cache_settings)
    project.call("collectstatic", interactive=False)

    with host(project, tmp_path / "other") as storage:
        before = storage.url("css/site.css")
        caches["staticfiles"].clear()
        with rig.wire.recording() as seen:
            assert storage.url("css/site.css") == before
            storage.url("img/logo.png")
            storage.url("js/app.js")

    assert seen.counts() == {"GET": 1}


def test_a_new_release_is_seen_by_a_running_process(tmp_path: Path, rig: Rig, cache_settings: dict[str, Any]) -> None:
    project = site(tmp_path, rig, cache_settings)
    project.call("collectstatic", interactive=False)
    with host(project, tmp_path / "other") as storage:
        old = storage.url("img/logo.png")
        project.corpus.change("img/logo.png")
        project.call("collectstatic", interactive=False)

        assert storage.url("img/logo.png") != old


def test_a_release_that_is_only_staged_or_failed_is_never_served(
    tmp_path: Path, rig: Rig, cache_settings: dict[str, Any]
) -> None:
    project = site(tmp_path, rig, cache_settings)
    project.call("collectstatic", interactive=False)
    with host(project, tmp_path / "other") as storage:
        old = storage.url("img/logo.png")
        project.corpus.change("img/logo.png")
        project.call("collectstatic", interactive=False, stage=True)
        assert storage.url("img/logo.png") == old
        caches["staticfiles"].clear()
        assert storage.url("img/logo.png") == old

        project.call("localmirror", "publish")
        assert storage.url("img/logo.png") != old


def test_a_mirror_with_other_bytes_never_makes_up_a_name(
    tmp_path: Path, rig: Rig, cache_settings: dict[str, Any]
) -> None:
    project = site(tmp_path, rig, cache_settings)
    project.call("collectstatic", interactive=False)
    mirror = tmp_path / "other"
    (mirror / "css").mkdir(parents=True)
    (mirror / "css" / "site.css").write_bytes(b"an old copy")
    (mirror / "css" / "unknown.css").write_bytes(b"never published")
    with host(project, mirror) as storage:
        caches["staticfiles"].clear()
        assert storage.url("css/site.css").rpartition("/")[2] in {
            n.rpartition("/")[2] for n in hashed(rig, "css/site.css")
        }
        with pytest.raises(ValueError, match="Missing staticfiles manifest entry for 'css/unknown.css'"):
            storage.url("css/unknown.css")
        storage.manifest_strict = False
        assert storage.url("css/unknown.css").endswith("/css/unknown.css")


def test_in_a_rolling_deployment_each_side_has_its_own_names(
    tmp_path: Path, rig: Rig, cache_settings: dict[str, Any]
) -> None:
    project = site(tmp_path, rig, cache_settings, mirror_release="one")
    project.call("collectstatic", interactive=False)
    with (
        host(project, tmp_path / "a", mirror_release="one") as one,
        host(project, tmp_path / "b", mirror_release=None) as latest,
    ):
        old = one.url("img/logo.png")
        project.corpus.change("img/logo.png")
        project.set_options(mirror_release="two")
        project.call("collectstatic", interactive=False)
        with host(project, tmp_path / "c", mirror_release="two") as two:
            new = two.url("img/logo.png")
            assert new != old
            assert (one.url("img/logo.png"), latest.url("img/logo.png")) == (old, new)
            caches["staticfiles"].clear()
            assert (one.url("img/logo.png"), latest.url("img/logo.png")) == (old, new)


def test_a_cache_that_forgets_most_names_costs_one_read(tmp_path: Path, rig: Rig) -> None:
    entry = {"BACKEND": BACKENDS["locmem"], "LOCATION": str(tmp_path), "OPTIONS": {"MAX_ENTRIES": 6}}
    project = site(tmp_path, rig, {"default": entry})
    project.call("collectstatic", interactive=False)
    with host(project, tmp_path / "other") as storage, rig.wire.recording() as seen:
        for name in project.corpus.names():
            assert storage.url(name)

    assert seen.counts().get("GET", 0) <= 1


@pytest.mark.parametrize(
    ("max_age", "seen"),
    [(30, "Processes that share it see it within 30 seconds. Run"), (None, "refused. Run it again")],
)
def test_a_cache_that_cannot_be_told_is_one_sentence_after_the_release_is_live(
    tmp_path: Path, rig: Rig, max_age: float | None, seen: str
) -> None:
    port = free_port()
    caches = {"default": {"BACKEND": BACKENDS["redis"], "LOCATION": f"redis://127.0.0.1:{port}"}}
    project = site(tmp_path, rig, caches, mirror_max_age=max_age)
    (project.directory / "listening.py").write_text(
        "from django.apps import AppConfig\n"
        "class Listening(AppConfig):\n"
        "    name = 'listening'\n"
        "    path = '/'\n"
        "    def ready(self):\n"
        "        from localmirror.signals import release_published\n"
        "        release_published.connect(self.told)\n"
        "    def told(self, **kwargs):\n"
        "        print('told of the release')\n"
    )
    project.settings["INSTALLED_APPS"] = [*project.settings["INSTALLED_APPS"], "listening.Listening"]
    project.write()

    result = project.run("collectstatic", "--no-input")

    assert result.returncode == 1
    assert "The release is live, but the cache 'default' could not be told: ConnectionError: " in result.stderr
    assert seen in result.stderr
    assert "Traceback" not in result.stderr
    assert "told of the release" in result.stdout
    assert "staticfiles.json" in rig.raw_list()


def test_without_a_mirror_on_djangos_own_storage(tmp_path: Path, cache_settings: dict[str, Any]) -> None:
    from django.test import override_settings

    source = tmp_path / "static"
    (source / "img").mkdir(parents=True)
    (source / "img" / "logo.png").write_bytes(b"logo")
    root = tmp_path / "root"
    with override_settings(CACHES=cache_settings, STATIC_ROOT=str(root), STATIC_URL="/static/"):
        storage = CachedStaticFilesStorage()
        storage.save("img/logo.png", ContentFile(b"logo"))
        from django.contrib.staticfiles.storage import StaticFilesStorage

        list(storage.post_process({"img/logo.png": (StaticFilesStorage(str(source)), "img/logo.png")}))
        other = CachedStaticFilesStorage()
        assert other.url("img/logo.png").startswith("/static/img/logo.")
        assert other.url("img/logo.png") != "/static/img/logo.png"
        caches["staticfiles"].clear()
        assert other.url("img/logo.png") == storage.url("img/logo.png")
