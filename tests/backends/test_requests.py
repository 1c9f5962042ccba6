"""How many requests a deployment costs, counted on the wire; the documentation's table is made of these."""

from __future__ import annotations

import json
import posixpath
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from ..corpus import FILES, Project
from ..rigs import Rig
from ..wire import Log

#: Each original goes up under its own name and under a hashed one.
PUBLIC = 2 * len(FILES)
#: One image, what refers to it and what refers to that: the image twice, three style sheets under new names.
CHANGED = 5

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "location and domain": {"location": "st/atic", "custom_domain": "cdn.example.com"},
}

# Not rclone: it answers some uploads into a new directory with an error, and they are sent again.
pytestmark = pytest.mark.parametrize("rig", ["s3-moto", "azure-azurite", "gcs-emulator"], indirect=True)


def project_of(rig: Rig, tmp_path: Path, **options: Any) -> Project:
    if rig.prefix == "GoogleCloud" and options:
        options["custom_endpoint"] = f"https://{options.pop('custom_domain')}"
    return Project.make(tmp_path, rig, **options)


def deployed(rig: Rig, project: Project) -> Log:
    """Deploy and return the requests that it took."""
    with rig.wire.recording() as seen:
        project.call("collectstatic", interactive=False)
    return seen


def uploads(project: Project, seen: Log) -> list[str]:
    """Return the names below the location that were sent, localmirror's own and the manifest left out."""
    location = project.settings["STORAGES"]["staticfiles"]["OPTIONS"].get("location", "")
    names = [posixpath.relpath(name, location or ".") for name in seen.names("upload")]
    return [name for name in names if name != "staticfiles.json" and not name.startswith(".localmirror/")]


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_deployments(rig: Rig, tmp_path: Path, options: dict[str, Any]) -> None:
    project = project_of(rig, tmp_path, **options)

    # A cold bucket: one request for each object and, beside them, the listing, record, pinned manifest and manifest;
    # S3 is asked for the manifest once more, since not all that speak its protocol obey conditions.
    cold = deployed(rig, project)
    assert len(uploads(project, cold)) == len(set(uploads(project, cold))) == PUBLIC
    assert cold.counts()["LIST"] == 1
    assert len(cold) == PUBLIC + (4 if rig.prefix != "S3" else 5)

    # Nothing changed: the listing, and nothing for any file.
    assert deployed(rig, project).operations() == {"list": 1}

    # A new builder asks S3 for keys with a leading slash too, which obstore does not tell from those without.
    slashes = int(rig.prefix == "S3" and "location" not in options)
    project.set_options(mirror_location=str(tmp_path / "fresh"))
    assert deployed(rig, project).operations() == {"list": 1 + slashes}

    # One image changed.
    project.corpus.change("img/logo.png")
    changed = deployed(rig, project)
    assert len(uploads(project, changed)) == CHANGED
    assert len(changed) == len(cold) - PUBLIC + CHANGED
    assert not changed.of("delete")


def test_a_failure_costs_the_rest_nothing(rig: Rig, tmp_path: Path) -> None:
    project = project_of(rig, tmp_path)
    deployed(rig, project)
    before = rig.raw_get("staticfiles.json")
    project.corpus.change("img/logo.png")
    rule = rig.wire.fail(rig.fault_status, operation="upload", name=r"css/site\.[0-9a-f]{12}\.css$")
    report = tmp_path / "report.json"

    with pytest.raises(CommandError, match="1 of 30"):
        project.call("collectstatic", "--report", str(report), interactive=False)

    (failed,) = json.loads(report.read_text())["failed"]
    assert rig.raw_get("staticfiles.json") == before
    rule.times = 0
    assert uploads(project, deployed(rig, project)) == [failed["name"]]
    assert set(json.loads(rig.raw_get("staticfiles.json"))["paths"].values()) <= set(rig.raw_list())


def test_what_a_page_costs(rig: Rig, tmp_path: Path) -> None:
    """A process that starts asks for the manifest; a warm mirror asks for nothing more, a cold one once for a file."""
    project = project_of(rig, tmp_path)
    deployed(rig, project)

    with rig.wire.recording() as seen:
        storage = project.storage()
        urls = [storage.url(name) for name in FILES]
        with storage.open(storage.stored_name("css/site.css")) as file:
            content = file.read()
    assert seen.operations() == {"download": 1}
    assert len(set(urls)) == len(FILES)

    project.set_options(mirror_location=str(tmp_path / "cold"))
    storage = project.storage()
    with rig.wire.recording() as seen:
        for _ in range(2):
            with storage.open(storage.stored_name("css/site.css")) as file:
                assert file.read() == content
    assert seen.operations() == {"download": 1}
