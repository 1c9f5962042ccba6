"""compress while the remote cannot be reached: pages may be served from old copies, nothing is published from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..corpus import Project
from ..rigs import S3MotoRig, prepared
from .site import deploy, make_site, render, write_template
from .test_command import MANIFEST, assert_failed, block

ONCE = {"AWS_MAX_ATTEMPTS": "1"}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[S3MotoRig]:
    with prepared(S3MotoRig, tmp_path) as ready:
        yield ready


@pytest.fixture
def behind(rig: S3MotoRig, tmp_path: Path) -> Project:
    """A host whose mirror has an older release than the one that another host has deployed since."""
    one, two = (make_site(tmp_path / host, rig, mirror_max_age=0) for host in ("one", "two"))
    deploy(one)
    assert two.run("compress").returncode == 0
    assert render(two)
    one.corpus.write("css/site.css", b".new { color: red }\n")
    deploy(one)
    return two


def test_an_old_manifest_of_static_files_is_not_compressed_from(behind: Project, rig: S3MotoRig) -> None:
    live = rig.raw_get(MANIFEST)
    rig.wire.fail(500, method="GET", name=r"staticfiles\.json$")
    assert_failed(behind.run("compress", **ONCE), "The manifest 'staticfiles.json' cannot be read from S3Static")
    assert rig.raw_get(MANIFEST) == live
    assert (
        "<link"
        in behind.python(  # which is what the old copy is for
            "from django.contrib.staticfiles.storage import staticfiles_storage\n"
            "print('<link', staticfiles_storage.url('css/site.css'))",
            **ONCE,
        ).stdout
    )


def test_nor_are_old_names_in_a_cache(rig: S3MotoRig, tmp_path: Path) -> None:
    """The names in a host's own cache may be those of the release before, for ``mirror_max_age`` seconds."""
    backend = "django.core.cache.backends.filebased.FileBasedCache"
    one, two = (
        make_site(
            tmp_path / host,
            rig,
            role="cached",
            settings={"CACHES": {"default": {"BACKEND": backend, "LOCATION": str(tmp_path / host / "cache")}}},
        )
        for host in ("one", "two")
    )
    deploy(one)
    assert two.run("compress").returncode == 0
    one.corpus.change("img/logo.png")
    deploy(one)
    live = rig.raw_get(MANIFEST)
    with rig.wire.recording() as seen:
        assert two.run("compress").returncode == 0
    assert rig.raw_get(MANIFEST) == live
    assert seen.names("download").count("staticfiles.json") == 1
    assert render(two) == render(one)


def test_a_manifest_that_cannot_be_had_at_all_is_one_sentence(rig: S3MotoRig, tmp_path: Path) -> None:
    deploy(make_site(tmp_path / "one", rig))
    rig.wire.fail(403, code="AccessDenied", method="GET", name=r"staticfiles\.json$")
    assert_failed(make_site(tmp_path / "two", rig).run("compress"), "'staticfiles.json' cannot be read", "AccessDenied")


def test_it_is_read_again_where_the_process_began_with_an_old_one(behind: Project, rig: S3MotoRig) -> None:
    live = rig.raw_get(MANIFEST)
    rig.wire.fail(500, method="GET", name=r"staticfiles\.json$", times=1)
    done = behind.python(
        "from django.contrib.staticfiles.storage import staticfiles_storage\n"
        "from django.core.management import call_command\n"
        "before = staticfiles_storage.url('css/site.css')\n"
        "call_command('compress', force=True)\n"
        "assert staticfiles_storage.url('css/site.css') != before\n",
        **ONCE,
    )
    assert done.returncode == 0, done
    assert "may be older than the remote's" in done.stderr
    assert rig.raw_get(MANIFEST) == live


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_an_old_source_is_not_compressed(behind: Project, rig: S3MotoRig, method: str) -> None:
    before = rig.raw_all()
    rig.wire.fail(500, method=method, name=r"css/site\.css$")
    assert_failed(
        behind.run("compress", **ONCE),
        "rendering page.html: PublishError: ",
        "'css/site.css' in the mirror may be older",
    )
    assert rig.raw_all() == before


def test_with_a_manifest_of_its_own_a_host_asks_nobody(behind: Project, rig: S3MotoRig) -> None:
    for entry in behind.settings["STORAGES"].values():
        if "mirror_max_age" in entry.get("OPTIONS", {}):
            entry["OPTIONS"].update(mirror_manifest="local", mirror_max_age=None)
    behind.write()
    rig.wire.fail(500, method="GET", name=r"staticfiles\.json$")
    assert behind.run("compress", **ONCE).returncode == 0


def test_threads_share_the_manifest_of_static_files(rig: S3MotoRig, tmp_path: Path) -> None:
    site = make_site(tmp_path / "one", rig)
    deploy(site)
    for number in range(12):
        write_template(site, f"{number}.html", block("js", "{% static 'js/lib/util.js' %}"))
    assert site.run("compress").returncode == 0
    with rig.wire.recording() as seen:
        assert site.run("compress").returncode == 0
    assert seen.operations() == {"download": 1, "list": 1, "stat": 1}
