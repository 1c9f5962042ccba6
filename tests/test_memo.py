"""What a staging remembers of the last one: it saves work, and is never to be seen in what is staged.

Most tests stage a tree twice after each edit, into a mirror that remembers and into an empty one, and compare.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import posixpath
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from django.contrib.staticfiles.finders import FileSystemFinder
from django.contrib.staticfiles.storage import HashedFilesMixin
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.core.management import CommandError
from django_manifeststaticfiles_enhanced.storage import EnhancedHashedFilesMixin

from localmirror import memo, offline
from localmirror.backends.s3 import MirroredS3StaticStorage

from .sites import (
    ENHANCED,
    REMEMBERING,
    STACKS,
    Cached,
    Enhanced,
    EnhancedLexer,
    EnhancedModules,
    Manifest,
    Modules,
    Precompressed,
    Site,
)

TICK_NS = memo._TICK_NS

# Django 5.2 passes on what hashing raised.
FAILURES = (CommandError, ValueError, RuntimeError)


@pytest.fixture(autouse=True)
def _trusted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "_TICK_NS", 0)


def image(seed: str) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + hashlib.shake_256(seed.encode()).digest(300)


FILES: dict[str, bytes] = {
    "css/site.css": (
        b"@import \"base.css\";\n@import url('deep/dark.css');\n"
        b"@font-face { src: url(../fonts/f.eot?#iefix), url('../fonts/f.eot?v=1#x'), url(/static/fonts/f.eot) }\n"
    ),
    "css/base.css": b"@import 'deep/last.css';\nbody { background: url(../img/logo.png) }\n",
    "css/deep/dark.css": b"body { background: url('../../img/gr%C3%BCn%20blatt.svg') }\n",
    "css/deep/last.css": b"body { background: url(../../img/night.jpg) }\n",
    "css/alone.css": b"b { color: blue }\n",
    "app.deadbeef.js": b"import './js/util.js';\n",
    "js/util.js": b"import { deep } from './deep/deep.js';\n",
    "js/deep/deep.js": b"export let deep = 1;\n",
    "js/other.js": b"export let other = 1;\n",
    "fonts/f.eot": image("font"),
    "img/logo.png": image("logo"),
    "img/night.jpg": image("night"),
    "img/grün blatt.svg": "<svg xmlns='http://www.w3.org/2000/svg'><title>grün</title></svg>".encode(),
    "LICENSE": b"Do as you please.\n",
    "data.deadbeef00": b"its extension looks like a digest",
}


def rewound(site: Site, name: str, content: bytes) -> None:
    """Change a source so that neither its size nor its modification time tells."""
    path = site.sources / name
    before = path.stat()
    assert len(content) == before.st_size
    site.write(name, content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


# What can be done to a tree. Each is a step after a staging, and is followed by another one.


def image_behind_imports(site: Site) -> None:
    site.write("img/night.jpg", image("another"))


def image_in_its_size(site: Site) -> None:
    rewound(site, "img/night.jpg", image("night, but other bytes"))


def stylesheet_in_its_size(site: Site) -> None:
    rewound(site, "css/deep/last.css", FILES["css/deep/last.css"].replace(b"night.jpg", b"logo.png "))


def touch(site: Site) -> None:
    for name in FILES:
        os.utime(site.sources / name, (2_000_000_000, 1_500_000_000))


def reference_added(site: Site) -> None:
    site.write("css/alone.css", b"b { background: url(../img/logo.png) }\n")


def reference_to_what_is_rewritten(site: Site) -> None:
    site.write("css/alone.css", b"@import 'site.css';\n")


def reference_with_a_query_to_what_is_rewritten(site: Site) -> None:
    site.write("css/alone.css", b"@import 'base.css?v=1';\n@import 'deep/dark.css';\n")
    site.stage()
    site.write("css/base.css", FILES["css/base.css"] + b"/* changed */")


def quoted_reference_to_what_is_rewritten(site: Site) -> None:
    site.write("css/bäse.css", FILES["css/base.css"])
    site.write("css/alone.css", b"@import 'b%C3%A4se.css';\n@import 'deep/dark.css';\n")
    site.stage()
    site.write("css/bäse.css", FILES["css/base.css"] + b"/* changed */")


def windows_reference_to_what_is_rewritten(site: Site) -> None:
    site.write("css/alone.css", b"@import 'deep\\last.css';\n")
    site.stage()
    site.write("css/alone.css", b"@import 'deep\\last.css'; /* changed */\n")


def reference_removed(site: Site) -> None:
    site.write("css/base.css", b"body { margin: 0 }\n")


def everything_removed_and_brought_back(site: Site) -> None:
    site.write("css/site.css", b"")
    site.write("img/night.jpg", image("another"))
    site.stage()
    site.write("css/site.css", FILES["css/site.css"])
    site.write("img/night.jpg", FILES["img/night.jpg"])


def module_changed(site: Site) -> None:
    site.write("js/deep/deep.js", b"export let deep = 2;\n")


def file_added(site: Site) -> None:
    site.write("css/new.css", b"@import 'site.css';\n")


def file_removed(site: Site) -> None:
    (site.sources / "app.deadbeef.js").unlink()


def file_removed_and_brought_back(site: Site) -> None:
    (site.sources / "css/site.css").unlink()
    site.stage()
    site.write("img/night.jpg", image("another"))
    site.write("css/site.css", FILES["css/site.css"])


def copy_deleted(site: Site) -> None:
    site.hashed("img/night.jpg").unlink()
    site.hashed("css/deep/last.css").unlink()


def copy_altered(site: Site) -> None:
    for name in ("img/night.jpg", "css/deep/last.css", "LICENSE", "data.deadbeef00"):
        path = site.hashed(name)
        path.unlink()
        path.write_bytes(b"altered by hand")


def copy_altered_in_place(site: Site) -> None:
    """An image and its hashed copy are one file with two names."""
    for name in ("img/night.jpg", "css/deep/last.css"):
        site.hashed(name).write_bytes(b"altered by hand")


def copy_of_an_earlier_release_altered(site: Site) -> None:
    path = site.hashed("img/logo.png")
    site.write("img/logo.png", image("another"))
    site.stage()
    path.write_bytes(b"altered by hand")
    site.write("img/logo.png", FILES["img/logo.png"])


def original_altered(site: Site) -> None:
    (site.mirror / "img/night.jpg").unlink()
    (site.mirror / "img/night.jpg").write_bytes(b"altered by hand")
    (site.mirror / "css/site.css").write_bytes(b"altered by hand")


def only_some_files(site: Site) -> None:
    site.stage("--ignore", "LICENSE")
    image_behind_imports(site)


def without_post_processing(site: Site) -> None:
    image_behind_imports(site)
    site.stage("--no-post-process")


def rehearsed(site: Site) -> None:
    image_behind_imports(site)
    site.stage("--dry-run")


def failed(site: Site) -> None:
    image_behind_imports(site)
    site.write("css/alone.css", b"b { background: url(missing.png) }\n")
    with pytest.raises(FAILURES, match="missing"):
        site.stage()
    site.write("css/alone.css", FILES["css/alone.css"])


def another_directory(site: Site) -> None:
    """A file moves to another of STATICFILES_DIRS, with other bytes of the same size and date."""
    second = site.directory / "second"
    before = (site.sources / "img/logo.png").stat()
    moved = site.write("img/logo.png", image("logo, but other bytes"), second)
    os.utime(moved, ns=(before.st_atime_ns, before.st_mtime_ns))
    site.project.settings["STATICFILES_DIRS"].append(str(second))
    site.check()
    (site.sources / "img/logo.png").unlink()


def static_url(site: Site) -> None:
    site.project.settings["STATIC_URL"] = "/elsewhere/"


EDITS: list[Callable[[Site], None]] = [
    image_behind_imports,
    image_in_its_size,
    stylesheet_in_its_size,
    touch,
    reference_added,
    reference_to_what_is_rewritten,
    reference_with_a_query_to_what_is_rewritten,
    quoted_reference_to_what_is_rewritten,
    windows_reference_to_what_is_rewritten,
    reference_removed,
    everything_removed_and_brought_back,
    module_changed,
    file_added,
    file_removed,
    file_removed_and_brought_back,
    copy_deleted,
    copy_altered,
    copy_altered_in_place,
    copy_of_an_earlier_release_altered,
    original_altered,
    only_some_files,
    without_post_processing,
    rehearsed,
    failed,
    another_directory,
    static_url,
]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
@pytest.mark.parametrize("backend", STACKS)
def test_an_edit_leads_to_the_release_of_an_empty_mirror(
    tmp_path: Path, backend: type, edit: Callable[[Site], None]
) -> None:
    site = Site(tmp_path, backend, FILES)
    site.check()
    edit(site)
    if backend is Precompressed and edit is reference_removed:
        # What does not shrink any more keeps siblings, which an empty mirror knows nothing of.
        site.stage()
        assert site.staged().files.keys() - site.fresh().files.keys() == {"css/base.css.br"}
        return
    site.check()
    site.check()
    assert site.once() == site.fresh()


def imports(*names: str) -> bytes:
    return "".join(f"import './{name}.js';\n" for name in names).encode()


@pytest.mark.parametrize("backend", [EnhancedModules, EnhancedLexer])
def test_circles_have_the_hash_that_an_empty_mirror_gives_them(tmp_path: Path, backend: type) -> None:
    """All circles share one hash, with all that leads to them: what joins or leaves it renames the others."""
    files = {"a": imports("b"), "b": b"1;", "c": imports("d"), "d": imports("c"), "page": b"2;", "alone": b"3;"}
    site = Site(tmp_path, backend, {f"{name}.js": content for name, content in files.items()})
    site.check()
    names = [site.hashed("c.js").name]

    for name, content in [
        ("b", imports("a")),
        ("alone", b"4;"),
        ("page", imports("c")),
        ("d", imports("c") + b"5;"),
        ("page", imports("alone")),
        ("b", b"6;"),
        ("d", b"7;"),
        ("d", imports("d")),
    ]:
        site.write(f"{name}.js", content)
        site.check()
        names.append(site.hashed("c.js").name)

    assert names[1:3] == [names[1]] * 2
    assert len(set(names)) == len(names) - 1


@pytest.mark.parametrize("backend", [Manifest, Modules, Cached])
def test_a_circle_fails_and_can_be_broken(tmp_path: Path, backend: type) -> None:
    site = Site(tmp_path, backend, {"a.css": b"@import 'b.css';", "b.css": b"b{}", "c.css": b"@import 'a.css';"})
    site.check()
    site.write("b.css", b"@import 'a.css';")

    for stage in (site.stage, site.stage, site.fresh):
        with pytest.raises(FAILURES, match="Max post-process passes exceeded"):
            stage()
    site.write("b.css", b"b{margin:0}")

    site.check()


class Tree:
    """Random files that refer to each other, and random things done to them."""

    sheets = ["css/one.css", "css/deep/two.css", "css/my theme.css", "app.deadbeef.css"]
    scripts = ["js/a.js", "js/b.js", "js/deep/c.js", "js/app.0123456789ab.js"]
    binaries = ["img/a.png", "img/grün blatt.svg", "fonts/f.eot", "LICENSE", "data.deadbeef00"]

    def __init__(self, directory: Path, backend: type, seed: int) -> None:
        self.random = random.Random(seed)
        # Where circles are an error, few trees should have one.
        self.circles = 0.3 if backend in ENHANCED else 0.03
        self.done: list[str] = []
        self.history: dict[str, list[bytes]] = {}
        self.site = Site(directory, backend, {})
        for name in [*self.binaries, *self.sheets, *self.scripts]:
            self.edit(name)

    def edit(self, name: str) -> None:
        before = self.history.setdefault(name, [])
        if before and self.random.random() < 0.3:
            content = self.random.choice(before)
        elif name in self.binaries:
            content = image(str(self.random.random()))
        else:
            content = self.text(name)
        before.append(content)
        self.site.write(name, content)
        self.done.append(f"write {name}: {content!r}")

    def text(self, name: str) -> bytes:
        kin = self.sheets if name in self.sheets else self.scripts
        later = kin if self.random.random() < self.circles else kin[kin.index(name) + 1 :]
        targets = later if kin is self.scripts else [*later, *self.binaries]
        chosen = self.random.sample(targets, min(len(targets), self.random.randrange(4)))
        form = "import '{}';" if kin is self.scripts else self.random.choice(["@import '{}';", "a {{ b: url({}) }}"])
        lines = [form.format(self.reference(name, target)) for target in chosen]
        return "\n".join([*lines, f"/* {self.random.randrange(3)} */"]).encode()

    def reference(self, source: str, target: str) -> str:
        path = posixpath.relpath(target, posixpath.dirname(source) or ".")
        path = quote(path if path.startswith(".") else f"./{path}")
        kind = self.random.randrange(10)
        if kind == 0:
            return f"/static/{quote(target)}"
        return path + {1: "?v=1#x", 2: "?#iefix", 3: "#x"}.get(kind, "")

    def step(self) -> list[str]:
        """Do something, and return the options of the staging that follows."""
        draw = self.random.random()
        if draw < 0.75:
            for name in self.random.sample(
                [*self.binaries, *self.sheets, *self.scripts], self.random.choice([1, 1, 3])
            ):
                self.edit(name)
        elif draw < 0.85 and self.site.state("staged-manifest").exists():
            path = self.site.hashed(self.random.choice([*self.binaries, *self.sheets, *self.scripts]))
            path.unlink(missing_ok=True)
            if self.random.random() < 0.5:
                path.write_bytes(b"altered by hand")
            self.done.append(f"spoil {path.name}")
        elif draw < 0.9:
            # Nothing refers to it: what is gone from the sources is still in the mirror, where Django would find it.
            extra = self.site.sources / "css/extra.css"
            extra.unlink() if extra.exists() else self.site.write("css/extra.css", self.text("css/one.css"))
            self.done.append("extra.css")
        elif draw < 0.95:
            self.done.append("clear")
            return ["--clear"]
        return []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("backend", REMEMBERING)
def test_any_edits_lead_to_the_release_of_an_empty_mirror(tmp_path: Path, backend: type, seed: int) -> None:
    tree = Tree(tmp_path, backend, seed)
    for _ in range(12):
        arguments = tree.step()
        try:
            expected = tree.site.fresh()
        except FAILURES as error:
            with pytest.raises(FAILURES):
                tree.site.stage(*arguments)
            tree.done.append(f"failed: {error}")
            continue
        tree.site.stage(*arguments)
        assert tree.site.staged() == expected, "\n".join(tree.done)
        assert tree.site.once() == expected, "\n".join(tree.done)


# What is remembered, and of what

#: What refers to other files; hashing only renames the rest.
REFERRING = {
    *("css/site.css", "css/base.css", "css/deep/dark.css", "css/deep/last.css"),
    *("app.deadbeef.js", "js/util.js"),
}


def left_to_hashing(backend: type) -> set[str]:
    """Return the files that a class must hash: those with references, or all that its lexers would search."""
    if getattr(backend, "use_lexer", False):
        return {name for name in FILES if name.endswith((".css", ".js"))}
    modules = getattr(backend, "support_js_module_import_aggregation", False)
    return {name for name in REFERRING if modules or name.endswith(".css")}


class Seen(NamedTuple):
    """Sources that were opened through the finder's storage, and names that hashing was given."""

    opened: list[str]
    given: list[str]

    def forget(self) -> None:
        self.opened.clear()
        self.given.clear()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    seen = Seen([], [])

    def watched(cls: type, method: str, note: Callable[[Any], None]) -> None:
        original = getattr(cls, method)

        @functools.wraps(original)
        def noting(self: Any, first: Any, *args: Any, **kwargs: Any) -> Any:
            note(first)
            return original(self, first, *args, **kwargs)

        monkeypatch.setattr(cls, method, noting)

    watched(FileSystemStorage, "_open", seen.opened.append)
    watched(HashedFilesMixin, "post_process", seen.given.extend)
    watched(EnhancedHashedFilesMixin, "post_process", seen.given.extend)
    return seen


@pytest.mark.parametrize("backend", REMEMBERING)
def test_what_has_not_changed_is_neither_read_nor_hashed(tmp_path: Path, seen: Seen, backend: type) -> None:
    site = Site(tmp_path, backend, FILES)
    site.stage()
    assert (set(seen.opened), set(seen.given)) == (set(FILES), left_to_hashing(backend))
    seen.forget()

    output = site.stage()

    assert f"0 static files copied, {len(FILES)} unmodified." in output
    assert seen == ([], [])


@pytest.mark.parametrize(
    ("name", "reached"),
    [
        ("img/night.jpg", ["css/deep/last.css", "css/base.css", "css/site.css"]),
        ("img/logo.png", ["css/base.css", "css/site.css"]),
        ("css/deep/dark.css", ["css/site.css"]),
        ("LICENSE", []),
        ("data.deadbeef00", []),
        ("js/deep/deep.js", ["js/util.js", "app.deadbeef.js"]),
        ("js/other.js", []),
    ],
)
@pytest.mark.parametrize("backend", REMEMBERING)
def test_a_change_is_read_and_hashed_with_all_that_refers_to_it(
    tmp_path: Path, seen: Seen, backend: type, name: str, reached: list[str]
) -> None:
    site = Site(tmp_path, backend, FILES)
    site.stage()
    seen.forget()
    site.write(name, FILES[name] + b"\n/* changed */\n")

    site.stage()

    if not getattr(backend, "support_js_module_import_aggregation", False):
        reached = [other for other in reached if not other.endswith(".js")]
    assert set(seen.given) == {name, *reached} & left_to_hashing(backend)
    assert set(seen.opened) == {name, *reached}


def test_what_was_touched_is_read_and_not_hashed(tmp_path: Path, seen: Seen) -> None:
    site = Site(tmp_path, Manifest, FILES)
    site.stage()
    seen.forget()
    touch(site)

    site.stage()
    assert (sorted(seen.opened), seen.given) == (sorted(FILES), [])
    seen.forget()
    site.stage()

    assert seen == ([], [])


def test_clear_reads_and_hashes_everything(tmp_path: Path, seen: Seen) -> None:
    site = Site(tmp_path, Manifest, FILES)
    site.stage()
    seen.forget()

    site.stage("--clear")

    assert (set(seen.opened), set(seen.given)) == (set(FILES), left_to_hashing(Manifest))
    assert site.staged() == site.fresh()


def test_compressed_siblings_are_made_of_all_files(tmp_path: Path, seen: Seen) -> None:
    """What else post-processing does with the files is not known: sources alone are remembered."""
    site = Site(tmp_path, Precompressed, {"a.css": b"a{}" * 1000, "b.css": b"b{}" * 1000})
    site.check()
    seen.forget()

    site.stage()

    assert sorted(seen.given) == ["a.css", "b.css"]
    assert any(name.endswith(".css.gz") for name in site.staged().files)


@pytest.mark.parametrize(("age", "is_trusted"), [(TICK_NS, True), (TICK_NS - 1, False)])
def test_a_source_that_had_just_changed_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: Seen, age: int, is_trusted: bool
) -> None:
    """Within one tick of the file system's clock it may have changed once more."""
    monkeypatch.setattr(memo, "_TICK_NS", TICK_NS)
    site = Site(tmp_path, Manifest, {})
    changed = site.write("a.txt", b"a").stat().st_ctime_ns
    for _ in range(2):
        # The first time it is copied, the second time compared.
        monkeypatch.setattr(memo, "time", SimpleNamespace(time_ns=lambda: changed + age))
        site.stage()
        monkeypatch.setattr(memo, "time", SimpleNamespace(time_ns=lambda: changed + TICK_NS))
        seen.forget()
        shutil.copy(site.state("memo.json"), tmp_path / "memo.json")
        site.stage()
        assert seen.opened == ([] if is_trusted else ["a.txt"])
        shutil.copy(tmp_path / "memo.json", site.state("memo.json"))


def test_a_source_of_the_future_is_read_each_time(tmp_path: Path, seen: Seen) -> None:
    site = Site(tmp_path, Manifest, {})
    os.utime(site.write("a.txt", b"a"), (4_000_000_000, 4_000_000_000))
    site.stage()
    seen.forget()

    site.stage()

    assert seen.opened == ["a.txt"]


# When it is not used

OTHER_PATTERNS = (("*.css", ((r"""(?P<matched>@import\s*["'](?P<url>.*?)["'])""", '@import "%(url)s"'),)),)


@pytest.mark.parametrize(
    ("backend", "attribute", "value"),
    [
        (Manifest, "manifest_strict", False),
        (Manifest, "keep_intermediate_files", True),
        (Manifest, "patterns", OTHER_PATTERNS),
        (Manifest, "support_js_module_import_aggregation", True),
        (Cached, "manifest_name", "other.json"),
        (Enhanced, "use_lexer", True),
        (Enhanced, "ignore_errors", ["*:*"]),
        (HashedFilesMixin, "patterns", OTHER_PATTERNS),
    ],
)
def test_everything_is_hashed_by_a_class_with_other_attributes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: Seen, backend: type, attribute: str, value: Any
) -> None:
    site = Site(tmp_path, Manifest if backend is HashedFilesMixin else backend, FILES)
    site.stage()
    seen.forget()
    monkeypatch.setattr(backend, attribute, value, raising=backend is HashedFilesMixin)

    site.stage()

    # Those patterns do not find what `url()` refers to.
    imports = {"css/site.css", "css/base.css"}
    assert set(seen.given) == (imports if attribute == "patterns" else left_to_hashing(backend))
    assert site.staged() == site.fresh()


@pytest.mark.parametrize("backend", REMEMBERING)
def test_everything_is_hashed_for_another_static_url(tmp_path: Path, seen: Seen, backend: type) -> None:
    site = Site(tmp_path, backend, FILES)
    site.stage()
    seen.forget()
    site.project.settings["STATIC_URL"] = "/elsewhere/"

    site.stage()

    assert set(seen.given) == left_to_hashing(backend)


#: What methods can go by and no attribute tells.
WHIM = {"now": ""}


class OwnDigest(Manifest):
    def file_hash(self, name: str, content: Any = None) -> str:
        return hashlib.md5((WHIM["now"] + str(name)).encode()).hexdigest()[:12]


class OwnUrl(Manifest):
    def url(self, name: str, force: bool = False) -> Any:
        return super().url(name, force)


class OwnPostProcess(Enhanced):
    def post_process(self, *args: Any, **options: Any) -> Iterator[Any]:
        yield from super().post_process(*args, **options)


class OwnStart(Enhanced):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)


class OwnProperty(Manifest):
    max_post_process_passes = property(lambda self: 5)


class OwnMixin:
    def hash_key(self, name: str) -> str:
        return name.lower()


class WithOwnMixin(OwnMixin, Manifest):
    """A mixin that may have come from anywhere."""


class Prehashed(Enhanced):
    prehashed = f"{__name__}.is_prehashed"


class PrehashedHere(Enhanced):
    @staticmethod
    def prehashed(name: str) -> bool:
        return is_prehashed(name)


class Unhashed(MirroredS3StaticStorage):
    """No hashing at all."""


def is_prehashed(name: str) -> bool:
    return WHIM["now"] != "" and name.startswith("app.")


OWN = [
    *(OwnDigest, OwnUrl, OwnPostProcess, OwnStart, OwnProperty, WithOwnMixin, Prehashed, PrehashedHere),
    *(Unhashed, Precompressed),
]


def storage_of(backend: type, directory: Path) -> Any:
    with offline():
        return backend(bucket_name="a-bucket", mirror_location=str(directory))


@pytest.mark.parametrize("backend", OWN)
def test_what_a_class_of_its_own_decides_is_not_remembered(tmp_path: Path, backend: type) -> None:
    assert memo.what_decides(storage_of(backend, tmp_path), ["a"]) is None


@pytest.mark.parametrize("backend", REMEMBERING)
def test_names_and_known_classes_decide_the_rest(tmp_path: Path, backend: type) -> None:
    found = [memo.what_decides(storage_of(backend, tmp_path), names) for names in (["a", "b"], ["b", "a"], ["a"])]

    assert None not in found
    assert found[0] == found[1] != found[2]


def test_nothing_is_remembered_of_a_class_that_was_patched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HashedFilesMixin, "file_hash", OwnDigest.file_hash)

    assert memo.what_decides(storage_of(Manifest, tmp_path), ["a"]) is None


@pytest.mark.parametrize("backend", [OwnDigest, Prehashed, PrehashedHere])
def test_a_class_of_its_own_may_change_its_mind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: type) -> None:
    site = Site(tmp_path, backend, FILES)
    site.check()
    before = site.hashed("app.deadbeef.js")

    monkeypatch.setitem(WHIM, "now", "another")
    site.check()

    assert site.hashed("app.deadbeef.js") != before


class Banner(MirroredS3StaticStorage):
    """Post-processing that writes over what was collected."""

    def post_process(self, paths: dict[str, Any], dry_run: bool = False, **options: Any) -> Iterator[Any]:
        for name in paths:
            with self.open(name) as file:
                content = file.read()
            self.put(name, b"/* a banner */\n" + content)
            yield name, name, True

    def put(self, name: str, content: bytes) -> None:
        self._save(name, ContentFile(content))


class BannerPastTheStorage(Banner):
    def put(self, name: str, content: bytes) -> None:
        Path(self.path(name)).write_bytes(content)


@pytest.mark.parametrize("backend", [Banner, BannerPastTheStorage])
def test_what_is_written_over_is_collected_anew(tmp_path: Path, backend: type) -> None:
    site = Site(tmp_path, backend, {"a.css": b"a{}"})

    for _ in range(3):
        site.check()

    assert (site.mirror / "a.css").read_bytes() == b"/* a banner */\na{}"


class Generated(FileSystemStorage):
    """Sources that are more than the file that they begin with."""

    def _open(self, name: str, mode: str = "rb") -> Any:
        with super()._open(name, mode) as file:
            return ContentFile(file.read() + WHIM["now"].encode(), name)


class GeneratingFinder(FileSystemFinder):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.storages = {root: Generated(location=root) for _, root in self.locations}


def test_a_finder_that_does_not_hand_out_files_as_they_are_is_asked_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, Manifest, FILES, STATICFILES_FINDERS=[f"{__name__}.GeneratingFinder"])
    for _ in range(2):
        site.check()
    monkeypatch.setitem(WHIM, "now", "\n")

    site.check()

    assert (site.mirror / "LICENSE").read_bytes() == FILES["LICENSE"] + b"\n"


# The memo itself


def halved(data: bytes) -> bytes:
    return data[: len(data) // 2]


def of_another_version(data: bytes) -> bytes:
    return json.dumps([999, *json.loads(data)[1:]]).encode()


def with_rows_of_another_length(data: bytes) -> bytes:
    version, decided_by, rows = json.loads(data)
    return json.dumps([version, decided_by, {name: row[:-1] for name, row in rows.items()}]).encode()


def always(content: bytes) -> Callable[[bytes], bytes]:
    return lambda data: content


@pytest.mark.parametrize(
    "spoil",
    [
        *(halved, of_another_version, with_rows_of_another_length),
        *map(always, [b"", b"{}", b"[]", b"5", b"null", b"\xff\xfe", b"[1, null, []]"]),
    ],
)
@pytest.mark.parametrize("backend", [Manifest, Enhanced])
def test_a_memo_that_cannot_be_read_is_none(
    tmp_path: Path, seen: Seen, backend: type, spoil: Callable[[bytes], bytes]
) -> None:
    site = Site(tmp_path, backend, FILES)
    site.stage()
    image_behind_imports(site)
    site.state("memo.json").write_bytes(spoil(site.state("memo.json").read_bytes()))
    seen.forget()

    site.stage()

    assert set(seen.given) == left_to_hashing(backend)
    assert site.staged() == site.fresh()
    seen.forget()
    site.stage()
    assert seen == ([], [])


@pytest.mark.parametrize("names", [["memo.json"], ["staged.json", "staged-manifest"], ["staged.json"]])
@pytest.mark.parametrize("backend", REMEMBERING)
def test_a_run_that_was_killed_between_its_books_does_no_harm(tmp_path: Path, backend: type, names: list[str]) -> None:
    site = Site(tmp_path, backend, FILES)
    site.stage()
    older = {name: site.state(name).read_bytes() for name in names}
    for edit in (image_behind_imports, module_changed, reference_removed, reference_to_what_is_rewritten):
        edit(site)
    site.stage()
    for name, content in older.items():
        site.state(name).write_bytes(content)

    site.check()
    for name in ("img/night.jpg", "js/deep/deep.js", "css/base.css"):
        site.write(name, FILES[name])
    site.check()


def test_a_mirror_without_a_memo_is_staged_as_ever(tmp_path: Path) -> None:
    site = Site(tmp_path, Manifest, FILES)
    site.stage()
    site.state("memo.json").unlink()
    image_in_its_size(site)

    site.check()

    assert site.state("memo.json").exists()


# Warnings


@pytest.mark.parametrize("backend", ENHANCED)
def test_what_hashing_warns_of_it_warns_of_each_time(tmp_path: Path, seen: Seen, backend: type) -> None:
    warnings = ["sourcemap reference 'gone.css.map'"]
    site = Site(tmp_path, backend, FILES)
    site.write("css/base.css", FILES["css/base.css"] + b"/*# sourceMappingURL=gone.css.map */\n")
    if backend is EnhancedLexer:
        site.write("js/other.js", b"import(`./${name}.js`);\n")
        warnings.append("Found a template literal with a variable")

    outputs = [site.check(), site.check()]
    seen.forget()
    outputs.append(site.stage())
    assert seen == ([], [])
    image_behind_imports(site)
    outputs.append(site.check())

    for output in outputs:
        assert [output.count(warning) for warning in warnings] == [1] * len(warnings)


# Files that the staging hands out


def test_a_file_of_the_mirror_that_is_saved_again_is_linked_unless_it_is_read_as_text(tmp_path: Path) -> None:
    storage = storage_of(Unhashed, tmp_path)
    with offline(), storage.staging():
        storage.save("a.txt", ContentFile(b"one\r\ntwo"))
        for name, mode in [("same.txt", "rb"), ("text.txt", "r")]:
            with storage.open("a.txt", mode) as file:
                storage.save(name, file)

    assert (tmp_path / "same.txt").samefile(tmp_path / "a.txt")
    assert (tmp_path / "text.txt").read_bytes() == b"one\ntwo"
