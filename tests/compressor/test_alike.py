"""Blocks that django-compressor's offline manifest would take for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..corpus import Project
from ..rigs import S3MotoRig, prepared
from .site import deploy, make_site, render, write_template

MANIFEST = "CACHE/manifest.json"
LINK = '<link rel="stylesheet" href="{% static \'css/theme/dark.css\' %}">'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, S3MotoRig]]:
    directory = tmp_path_factory.mktemp("alike")
    with prepared(S3MotoRig, directory) as rig:
        site = make_site(directory / "one", rig)
        deploy(site)
        yield site, rig


def write(site: Project, name: str, *blocks: str) -> None:
    write_template(site, name, "\n".join(["{% load compress static %}", *blocks]))


def block(mode: str, content: str = LINK) -> str:
    return f"{{% compress css {mode} %}}{content}{{% endcompress %}}"


def remove(site: Project, *names: str) -> None:
    for name in names:
        Path(site.directory, "templates", name).unlink()


def test_two_modes_of_one_content_are_an_error(site: tuple[Project, S3MotoRig]) -> None:
    project, rig = site
    before = rig.raw_get(MANIFEST)
    write(project, "one.html", block("preload"))
    write(project, "two.html", block("file"))
    try:
        done = project.run("compress", "--force")
    finally:
        remove(project, "one.html", "two.html")
    assert done.returncode == 1, done
    assert "with the same content as one in the mode" in done.stderr
    assert "one.html" in done.stderr
    assert "two.html" in done.stderr
    assert rig.raw_get(MANIFEST) == before


def test_one_mode_twice_is_none(site: tuple[Project, S3MotoRig]) -> None:
    project, _ = site
    write(project, "base.html", block("file"), "{% block more %}{% endblock %}")
    write(project, "other.html", block("file"))
    write_template(project, "child.html", "{% extends 'base.html' %}")
    try:
        done = project.run("compress", "--force")
    finally:
        remove(project, "base.html", "other.html", "child.html")
    assert done.returncode == 0, done


def test_a_comment_tells_them_apart_and_both_lead_to_one_file(site: tuple[Project, S3MotoRig]) -> None:
    project, _ = site
    write(project, "page.html", block("preload", f"<!-- preload -->{LINK}"), block("file"))
    done = project.run("compress", "--force")
    assert done.returncode == 0, done
    page = render(project)
    assert page.count('rel="preload"') == page.count('rel="stylesheet"') == 1
    first, second = [part.partition('"')[0] for part in page.split('href="')[1:]]
    assert first == second
