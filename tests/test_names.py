"""Names and contents of every kind: the same in both halves, or a clear error and neither changed; never outside."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from localmirror.exceptions import LocalMirrorError

from .rigs import Rig

LOCATION = "media"

AWKWARD = [
    *("..", ".", "", "a", "b.css", "out", "link.txt", ".localmirror", ".LocalMirror", "...", ".hidden", "trail."),
    *("a b", " lead", "trail ", "100%", "%2e%2e", "%2F", "%00", "a#b", "a?b=c", "a&b", "a+b", "~", "-rf", "*", "$HOME"),
    *("ü", "u\u0308", "☃", "\U0001f4a9", "\u202egnp.exe", "\u200b", "x" * 200, "x" * 256, "☃" * 100, "x" * 1100),
    *(
        "nul\0",
        "new\nline",
        "tab\t",
        "\x01",
        "\x7f",
        "\ud800",
        "\udcff",
        "\ufffe",
        "back\\slash",
        "C:",
        "CON",
        "'",
        '"',
        "<a>",
    ),
    "b.0cc175b9c0f1.css",
]

COMPONENTS = st.one_of(st.sampled_from(AWKWARD), st.text(st.characters(), min_size=1, max_size=12))
NAMES = st.builds(
    lambda start, parts, separator: start + separator.join(parts),
    st.sampled_from([*[""] * 12, "/", "\\", "./", "../", "a/../../"]),
    st.lists(COMPONENTS, min_size=1, max_size=3),
    st.sampled_from([*["/"] * 6, "\\", "//"]),
)
CONTENTS = st.one_of(st.binary(max_size=40), st.text(max_size=20))

RELAXED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Scene:
    """A storage whose mirror lies among files that nobody may touch, and holds links that lead to them."""

    def __init__(self, rig: Rig, directory: Path) -> None:
        self.rig = rig
        self.around = directory / "around"
        self.mirror = rig.mirror = self.around / "deep" / "mirror"
        (self.around / "outside").mkdir(parents=True)
        (self.around / "outside" / "file.txt").write_bytes(b"outside")
        (self.around / "deep").mkdir()
        (self.around / "deep" / "a").write_bytes(b"beside the mirror")
        self.set_links()

    def set_links(self) -> None:
        self.mirror.mkdir(exist_ok=True)
        for name, target in (("out", "outside"), ("link.txt", "outside/file.txt")):
            (self.mirror / name).unlink(missing_ok=True)
            (self.mirror / name).symlink_to(self.around / target)

    def outside(self) -> dict[str, bytes]:
        """Return everything around the mirror."""
        found: dict[str, bytes] = {}
        for folder, folders, files in os.walk(self.around):
            if Path(folder) == self.mirror:
                folders.clear()
                continue
            found |= {f"{folder}/{name}": (Path(folder) / name).read_bytes() for name in files}
            found |= {f"{folder}/{name}/": b"" for name in folders}
        return found

    def inside(self) -> dict[str, bytes]:
        """Return the files of the mirror itself, links and localmirror's own left out."""
        found: dict[str, bytes] = {}
        for folder, folders, files in os.walk(self.mirror):
            if Path(folder) == self.mirror and ".localmirror" in folders:
                folders.remove(".localmirror")
            paths = (Path(folder, name) for name in files)
            found |= {str(path.relative_to(self.mirror)): path.read_bytes() for path in paths if not path.is_symlink()}
        return found

    def remote(self) -> dict[str, bytes]:
        return self.rig.raw_all()

    def clear(self) -> None:
        for name in self.rig.raw_list():
            self.rig.raw_delete(name)
        for name in self.inside():
            (self.mirror / name).unlink()
        self.set_links()


def as_bytes(content: bytes | str) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


def is_plain(name: str) -> bool:
    """Whether nothing speaks against a name: every S3 server and every file system of Linux can have it."""
    parts = name.replace("\\", "/").split("/")
    return (
        name.isprintable()
        and not set(parts) & {"", ".", ".."}
        and parts[0].lower() not in (".localmirror", "out", "link.txt")
        and max(len(part.encode()) for part in parts) <= 255
        and len(name.encode()) <= 1000
    )


def save_outcome(save: Callable[[str, Any], str], name: str, content: bytes | str) -> str | Exception:
    try:
        return save(name, ContentFile(content))
    except Exception as error:
        return error


def assert_saved_alike_or_not_at_all(
    scene: Scene, save: Callable[[str, Any], str], name: str, content: bytes | str
) -> None:
    outside = scene.outside()
    outcome = save_outcome(save, name, content)
    remote, inside, now = scene.remote(), scene.inside(), scene.outside()
    scene.clear()

    assert now == outside
    if isinstance(outcome, str):
        assert remote == {f"{LOCATION}/{outcome}": as_bytes(content)}
        assert inside == {outcome: as_bytes(content)}
    else:
        assert not is_plain(name), outcome
        assert str(outcome), "an error that says nothing"
        assert remote == inside == {}, (name, outcome)


def test_saving_under_awkward_names(s3: Rig, tmp_path: Path) -> None:
    scene = Scene(s3, tmp_path)
    storage = s3.storage(location=LOCATION)

    for part in AWKWARD:
        for name in (part, f"dir/{part}", f"{part}/a.txt"):
            assert_saved_alike_or_not_at_all(scene, storage._save, name, name.encode("utf-8", "replace"))


def test_saving_under_any_name(s3: Rig, tmp_path: Path) -> None:
    scene = Scene(s3, tmp_path)
    storage = s3.storage(location=LOCATION)

    @RELAXED
    @given(name=NAMES, content=CONTENTS)
    @example(name="out/file.txt", content=b"new")
    @example(name="link.txt", content=b"new")
    @example(name="a/../link.txt", content=b"new")
    @example(name="/".join(["d" * 200] * 6), content=b"longer than a key may be")
    def check(name: str, content: bytes | str) -> None:
        # ``save`` refuses what ``_save``, which hashing calls, has to refuse too.
        for save in (storage.save, storage._save):
            assert_saved_alike_or_not_at_all(scene, save, name, content)

    check()


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_asking_about_any_name_touches_nothing_outside(rig: Rig, tmp_path: Path) -> None:
    scene = Scene(rig, tmp_path)
    storage = rig.storage(location=LOCATION)
    calls: list[Callable[[str], Any]] = [
        *(storage.delete, storage.exists, storage.size, storage.listdir, storage.get_modified_time, storage.path),
        lambda name: storage.open(name).close(),
        lambda name: storage.open(name, "wb").close(),
        lambda name: storage.open(name, "ab").discard(),
    ]
    outside = scene.outside()

    def outcome(call: Callable[[str], Any], name: str) -> Any:
        try:
            return call(name)
        except Exception as error:
            return error

    @RELAXED
    @given(name=NAMES)
    @example(name="out/file.txt")
    @example(name="link.txt")
    @example(name="out")
    def check(name: str) -> None:
        for call in calls:
            answer = outcome(call, name)
            assert scene.outside() == outside
            assert str(answer) or call is storage.path, "an error that says nothing"
        path = outcome(storage.path, name)
        if isinstance(path, str):
            assert Path(os.path.realpath(os.path.dirname(path))).is_relative_to(scene.mirror)
            assert not path.startswith(f"{scene.mirror}/.localmirror/")
        assert all(key.startswith(f"{LOCATION}/") for key in rig.raw_list())
        scene.clear()

    check()


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_staging_under_any_name(rig: Rig, tmp_path: Path) -> None:
    scene = Scene(rig, tmp_path)
    storage = rig.storage("static", location=LOCATION)
    outside = scene.outside()

    @RELAXED
    @given(name=NAMES, content=CONTENTS)
    @example(name="out/file.txt", content=b"new")
    @example(name="link.txt", content=b"new")
    def check(name: str, content: bytes | str) -> None:
        outcome = save_outcome(storage.save, name, content)
        inside = scene.inside()
        scene.clear()
        assert scene.outside() == outside
        assert inside == ({outcome: as_bytes(content)} if isinstance(outcome, str) else {})

    with storage.staging():
        check()
    assert rig.wire.requests == []


@pytest.mark.parametrize(
    "name",
    [
        *(".localmirror", ".localmirror/", ".localmirror/a.txt", ".LocalMirror/a.txt", "./.localmirror/a.txt"),
        *("dir/../.localmirror/a.txt", ".localmirror\\a.txt", ".localmirror//a.txt", ".LOCALMIRROR\\tmp\\a"),
        *("../a.txt", "..", "/a.txt", "dir/../../a.txt", "..\\a.txt", "\\a.txt", "a\0.txt"),
    ],
)
def test_names_that_are_refused_by_every_call(tmp_path: Path, name: str) -> None:
    from localmirror.backends.s3 import MirroredS3Storage

    storage = MirroredS3Storage(bucket_name="b", mirror_location=str(tmp_path / "mirror"))

    for call in (
        lambda: storage.save(name, ContentFile(b"a")),
        lambda: storage._save(name, ContentFile(b"a")),
        lambda: storage.open(name),
        lambda: storage.open(name, "wb"),
        lambda: storage.delete(name),
        lambda: storage.exists(name),
        lambda: storage.size(name),
        lambda: storage.path(name),
        lambda: storage.listdir(name),
        lambda: storage.get_modified_time(name),
        lambda: storage.get_created_time(name),
    ):
        with pytest.raises(SuspiciousFileOperation):
            call()
    assert not (tmp_path / "mirror").exists()
    assert not issubclass(SuspiciousFileOperation, LocalMirrorError)


def test_one_file_has_one_name_however_it_is_spelt(s3: Rig) -> None:
    storage = s3.storage(location=LOCATION)
    for spelling in ("dir/a.txt", "dir//a.txt", "./dir/a.txt", "dir/./a.txt", "dir\\a.txt"):
        assert storage.save(spelling, ContentFile(spelling.encode())) == "dir/a.txt"
        assert s3.raw_all() == {f"{LOCATION}/dir/a.txt": spelling.encode()}
        assert storage.exists(spelling)
        assert storage.path(spelling) == str(s3.mirror / "dir/a.txt")
        with storage.open(spelling) as file:
            assert file.read() == spelling.encode()
