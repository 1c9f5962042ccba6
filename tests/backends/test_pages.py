"""What the documentation of libcloud, of any other storage and of one's own adapter shows is run here."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import textwrap
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.test import override_settings
from django.utils.module_loading import import_string

from localmirror.checks import check_mirrored_storages

from ..corpus import FILES, Project
from ..readme import ROOT
from ..rigs import BY_NAME, Rig


def blocks(page: str, language: str = "python") -> list[str]:
    """Return the code blocks of a page in their order."""
    text = (ROOT / "docs" / "backends" / f"{page}.rst").read_text(encoding="utf-8")
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)", text, re.MULTILINE)
    return [textwrap.dedent(block) for block in found]


def settings_of(block: str, directory: Path) -> dict[str, Any]:
    """Return what a block of settings sets."""
    names: dict[str, Any] = {"BASE_DIR": directory, "os": os}
    secrets = dict.fromkeys(re.findall(r'os\.environ\["(\w+)"\]', block), "secret")
    with mock.patch.dict(os.environ, secrets):
        exec(block, names)
    return {name: value for name, value in names.items() if name.isupper() and name != "BASE_DIR"}


@pytest.mark.parametrize("page", ["libcloud", "generic"])
def test_settings(page: str, tmp_path: Path) -> None:
    settings = settings_of(blocks(page)[0], tmp_path)
    static = settings["STORAGES"]["staticfiles"]["OPTIONS"]
    static.setdefault("mirror_location", str(tmp_path / "static"))
    with override_settings(**settings):
        assert check_mirrored_storages(None) == []
        for entry in settings["STORAGES"].values():
            cls = import_string(entry["BACKEND"])
            if "localmirror" in entry["BACKEND"]:
                # The manifest is the only thing that building a storage asks for.
                storage = cls(
                    **entry["OPTIONS"], **({"mirror_manifest": "local"} if "Manifest" in cls.__name__ else {})
                )
                assert "secret" not in storage.describe_remote()
        assert storage.base_address() == settings["STATIC_URL"]


@pytest.mark.parametrize("rig", ["generic-sftp"], indirect=True)
def test_classes_by_hand(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    (project.directory / "storage.py").write_text(blocks("generic")[1])
    entry = project.settings["STORAGES"]["staticfiles"]
    options = {name: value for name, value in rig.options().items() if name != "base_url"}
    entry.update(BACKEND="storage.StaticStorage", OPTIONS={"mirror_location": str(rig.mirror), **options})
    project.write()
    result = project.run("collectstatic", "--no-input")
    assert result.returncode == 0, result
    assert {*FILES, "staticfiles.json"} <= rig.raw_all().keys()
    url = "from django.contrib.staticfiles.storage import staticfiles_storage as s\nprint(s.url('css/site.css'))"
    assert project.python(url).stdout.startswith("https://static.example.com/css/site.")


class TestOnesOwnAdapter:
    def test_it_has_15_lines(self) -> None:
        adapter = blocks("own")[1].partition("class ")[2]
        assert sum(bool(line.strip()) for line in adapter.splitlines()) <= 15

    def test_a_deployment(self, tmp_path: Path) -> None:
        # A rig for the project's frame; its remote is not used.
        project = Project.make(tmp_path, BY_NAME["generic-memory"](tmp_path))
        (project.directory / "storage.py").write_text("\n\n".join(blocks("own")))
        database = str(tmp_path / "files.sqlite3")
        project.settings["STORAGES"] = {
            "default": {
                "BACKEND": "storage.MirroredDatabaseStorage",
                "OPTIONS": {"database": database, "mirror_location": str(tmp_path / "media")},
            },
            "staticfiles": {"BACKEND": "storage.MirroredStaticStorage", "OPTIONS": {"database": database}},
        }
        project.settings["STATIC_ROOT"] = str(tmp_path / "static")
        project.write()

        def files() -> dict[str, bytes]:
            with closing(sqlite3.connect(database)) as connection:
                return dict(connection.execute("SELECT name, data FROM files"))

        assert project.run("collectstatic", "--no-input").returncode == 0
        first = files()
        assert {name: first[name] for name in FILES} == FILES
        assert set(json.loads(first["staticfiles.json"])["paths"].values()) <= first.keys()

        # A new builder knows from the listing alone that nothing has to go up.
        project.settings["STATIC_ROOT"] = str(tmp_path / "fresh")
        project.write()
        unchanged = project.run("collectstatic", "--no-input")
        assert unchanged.last_line == "30 files in the release: 0 uploaded (0 B), 30 already there."
        assert files() == first

        media = (
            "from django.core.files.base import ContentFile\n"
            "from django.core.files.storage import default_storage as s\n"
            "print(s.exists('a'), s.save('a', ContentFile(b'one')), open(s.path('a')).read())\n"
            "s.delete('a')\n"
            "try:\n    s.open('a')\nexcept FileNotFoundError as error:\n    print(error)\n"
        )
        said = project.python(media)
        assert said.stdout.startswith("False a one\n'a' does not exist in DatabaseStorage (database "), said

    def test_how_it_announces_itself(self) -> None:
        (entry,) = blocks("own", "toml")
        announced = tomllib.loads(entry)["project"]["entry-points"]["localmirror.adapters"]
        with (ROOT / "pyproject.toml").open("rb") as file:
            ours = tomllib.load(file)["project"]["entry-points"]["localmirror.adapters"]
        assert ours  # the same group
        assert announced == {"example.storage.DatabaseStorage": "example.storage:DatabaseMirrorMixin"}
        assert "class DatabaseMirrorMixin(" in blocks("own")[1]


@pytest.mark.parametrize("page", ["libcloud", "generic"])
def test_paths_that_are_written_in_the_text_lead_somewhere(page: str) -> None:
    text = (ROOT / "docs" / "backends" / f"{page}.rst").read_text(encoding="utf-8")
    for path in set(re.findall(r"localmirror\.backends\.\w+\.\w+", text)):
        assert import_string(path)


def test_every_adapter_that_is_announced_can_be_had() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        ours = tomllib.load(file)["project"]["entry-points"]["localmirror.adapters"]
    for remote, adapter in ours.items():
        import_string(remote)
        assert import_string(adapter.replace(":", "."))
