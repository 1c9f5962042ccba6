"""Other people's hashing on top: Django's own mixin, with what it offers, and the one that writes from threads."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

import pytest
from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.core.files.base import ContentFile
from django_manifeststaticfiles_enhanced.storage import EnhancedManifestFilesMixin
from storages.backends.s3 import S3StaticStorage

from localmirror import LocalMirrorMixin, StaticMirrorMixin
from localmirror.backends.s3 import MirroredS3ManifestStaticStorage, MirroredS3StaticStorage

from .corpus import FILES, Project
from .deploying import MANIFEST, assert_whole, deploy, manifest, mirrored, public, publish, succeeded
from .rigs import Rig


class Enhanced(EnhancedManifestFilesMixin, MirroredS3StaticStorage):
    """Hashing that could use threads, and is kept from it where they would only hinder each other."""


class EnhancedInThreads(Enhanced):
    """Hashing from a pool of threads."""

    post_process_workers = 4


class Noting(EnhancedManifestFilesMixin, MirroredS3StaticStorage):
    """Hashing that notes in how many threads it is done."""

    used: ClassVar[list[int | None]] = []

    def post_process(self, *args: Any, **options: Any) -> Any:
        self.used.append(getattr(self, "post_process_workers", None))
        yield from super().post_process(*args, **options)


class NotingInThreads(Noting):
    post_process_workers = 4


class EnhancedByHand(EnhancedManifestFilesMixin, StaticMirrorMixin, LocalMirrorMixin, S3StaticStorage): ...


class Modules(ManifestFilesMixin, MirroredS3StaticStorage):
    """Hashing that rewrites the imports of JavaScript modules too."""

    support_js_module_import_aggregation = True


class Unversioned(MirroredS3ManifestStaticStorage):
    """Under other names than Django's."""

    manifest_name = "assets.json"
    max_post_process_passes = 9


def project_of(rig: Rig, directory: Path, backend: type, **options: Any) -> Project:
    project = Project.make(directory, rig, **options)
    project.settings["STORAGES"]["staticfiles"]["BACKEND"] = f"{__name__}.{backend.__name__}"
    return project


def assert_links_lead_somewhere(rig: Rig, paths: dict[str, str]) -> None:
    files = public(rig)
    stylesheet = files[paths["css/site.css"]].decode()
    links = re.findall(r"""url\(["']?([^"')]+)""", stylesheet)
    inner = [link for link in links if not link.startswith(("data:", "https:"))]
    assert len(inner) >= 5
    for link in inner:
        path = unquote(re.sub(r"[?#].*$", "", link))
        assert posixpath.normpath(f"css/{path}") in files, link


@pytest.mark.parametrize(
    ("rig", "backend"),
    [
        *(("s3-moto", backend) for backend in (Enhanced, EnhancedInThreads, EnhancedByHand, Modules)),
        ("s3-rclone", Enhanced),
    ],
    indirect=["rig"],
)
def test_a_release_is_deployed_whole(rig: Rig, tmp_path: Path, backend: type) -> None:
    project = project_of(rig, tmp_path, backend)

    cold = succeeded(deploy(rig, project))

    paths = assert_whole(rig)
    assert paths.keys() == FILES.keys()
    assert public(rig) == mirrored(rig)
    assert_links_lead_somewhere(rig, paths)
    assert cold.uploads == sorted(public(rig))
    assert cold.others <= 6
    assert cold.seen.names("PUT")[-1] == MANIFEST

    again = succeeded(deploy(rig, project))
    assert len(again.seen) <= 3
    assert again.uploads == []

    project.corpus.change("js/lib/util.js")
    changed = succeeded(deploy(rig, project))
    after = assert_whole(rig)
    moved = {after[name] for name in after if after[name] != paths[name]}
    assert set(changed.uploads) == {*moved, "js/lib/util.js", MANIFEST}
    assert ("js/app.js" in {name for name in after if after[name] != paths[name]}) == (backend is Modules)


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
@pytest.mark.parametrize(("backend", "workers"), [(Noting, 1), (NotingInThreads, 4)])
def test_it_hashes_in_one_thread_unless_it_is_told_otherwise(
    rig: Rig, tmp_path: Path, backend: type, workers: int
) -> None:
    Noting.used.clear()
    succeeded(deploy(rig, project_of(rig, tmp_path, backend)))

    assert Noting.used == [workers]


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
@pytest.mark.parametrize("backend", [Enhanced, Modules])
def test_staged_first_and_published_later(rig: Rig, tmp_path: Path, backend: type) -> None:
    project = project_of(rig, tmp_path, backend)

    with rig.wire.recording() as seen:
        succeeded(deploy(rig, project, "--stage", report=False))
    assert seen == []
    succeeded(publish(rig, project))

    assert assert_whole(rig).keys() == FILES.keys()
    assert public(rig) == mirrored(rig)


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
@pytest.mark.parametrize("backend", [Enhanced, Modules])
def test_the_same_names_as_without_a_mirror(rig: Rig, tmp_path: Path, backend: type) -> None:
    """What hashing decides is not the mirror's to change."""
    project = project_of(rig, tmp_path, backend)
    succeeded(deploy(rig, project))
    mixin = EnhancedManifestFilesMixin if backend is Enhanced else ManifestFilesMixin
    plain = type("Plain", (mixin, S3StaticStorage), dict(vars(backend)) if backend is Modules else {})

    for name in rig.raw_list():
        rig.raw_delete(name)
    with project.active():
        storage = plain(**rig.options("manifest"))
        found = {name: (_Source(project), name) for name in FILES}
        for name in FILES:
            storage.save(name, project_file(project, name))
        for name, hashed, processed in storage.post_process(found):
            assert not isinstance(processed, Exception), (name, hashed, processed)

    expected = manifest({MANIFEST: rig.raw_get(MANIFEST)})
    assert manifest(mirrored(rig)) == expected
    assert all(rig.raw_get(hashed) == mirrored(rig)[hashed] for hashed in expected.values())


class _Source:
    """The finder's storage, as ``post_process`` takes it."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def open(self, name: str) -> Any:
        return project_file(self._project, name)


def project_file(project: Project, name: str) -> Any:
    return ContentFile((project.corpus.directory / name).read_bytes(), name)


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
@pytest.mark.parametrize("backend", [Enhanced, Modules])
def test_names_of_a_first_pass_are_no_part_of_the_release(rig: Rig, tmp_path: Path, backend: type) -> None:
    project = project_of(rig, tmp_path, backend)
    project.corpus.write("css/aaa.css", b'@import "zzz.css";\n')
    project.corpus.write("css/zzz.css", b"a { background: url(../img/logo.png) }\n")

    succeeded(deploy(rig, project))

    paths = assert_whole(rig)
    assert public(rig).keys() == mirrored(rig).keys() == {*paths, *paths.values(), MANIFEST}


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_a_manifest_of_another_name(rig: Rig, tmp_path: Path) -> None:
    project = project_of(rig, tmp_path, Unversioned)
    succeeded(deploy(rig, project))
    again = succeeded(deploy(rig, project))

    assert MANIFEST not in public(rig)
    assert public(rig) == mirrored(rig)
    assert "assets.json" in public(rig)
    assert len(again.seen) <= 3
    assert project.storage().stored_name("robots.txt") in public(rig)


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
@pytest.mark.parametrize("backend", [Enhanced, Modules])
def test_a_reference_to_nothing_stops_before_anything_goes_live(rig: Rig, tmp_path: Path, backend: type) -> None:
    project = project_of(rig, tmp_path, backend)
    succeeded(deploy(rig, project))
    before, local = public(rig)[MANIFEST], (rig.mirror / MANIFEST).read_bytes()
    project.corpus.write("css/broken.css", b"a { background: url(missing.png) }")

    result = project.run("collectstatic", "--no-input")

    assert result.returncode == 1
    assert "missing.png" in result.stderr + result.stdout
    assert public(rig)[MANIFEST] == before
    assert (rig.mirror / MANIFEST).read_bytes() == local
    assert_whole(rig)
