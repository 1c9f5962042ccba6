"""The files that are deployed: the static files of well-known Django packages, fetched from PyPI by name.

Nothing of it is kept in the repository. The wheels are downloaded once into ``.cache/bench/wheels`` and their static
files laid out as one directory per corpus, with a copy of the one image that the scenarios change.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Bytes of free disk below which what was measured is deleted at once.
ROOM = 8 << 30
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "bench"

SMALL = (
    "Django==6.1.3",
    "django-admin-interface==0.32.0",
    "django-autocomplete-light==5.0.0",
    "django-debug-toolbar==8.0.0",
    "django-filer==3.6.0",
    "django-leaflet==0.34.0",
    "django-unfold==0.110.0",
    "djangorestframework==3.18.3",
)
LARGE = (
    *SMALL,
    "django-ckeditor==6.7.4",
    "django-ckeditor-5==0.2.20",
    "django-cms==5.1.3",
    "django-grappelli==5.0.1",
    "django-jazzmin==3.0.5",
    "django-tinymce==5.0.0",
    "drf-yasg==1.21.18",
    "wagtail==8.0.1",
)
CORPORA = {"small": SMALL, "large": LARGE}

#: One CSS file of each corpus refers to it, and no file to that one.
IMAGE = "admin/img/icon-addlink.svg"


@dataclass(frozen=True)
class Corpus:
    """A directory of static files to collect."""

    name: str
    directory: Path
    files: int
    size: int
    packages: tuple[str, ...]
    #: The image that changes in "one changed".
    image: str

    def as_dict(self) -> dict[str, Any]:
        return {"files": self.files, "bytes": self.size, "packages": list(self.packages)}

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """Have the corpus as it was fetched at the beginning of the block, also after a run that was killed."""
        image, original = self.directory / self.image, self.directory.with_name(f"{self.directory.name}.original")
        if not original.exists():
            shutil.copyfile(image, original)
        shutil.copyfile(original, image)
        try:
            yield
        finally:
            shutil.copyfile(original, image)

    def change_one(self) -> None:
        """Change one image, as an editor would: other bytes, modified now."""
        image = self.directory / self.image
        image.write_bytes(image.read_bytes() + b"<!-- changed -->\n")


def corpus(name: str) -> Corpus:
    """Return the corpus of this name, fetching it if it is not in the cache."""
    packages = CORPORA[name]
    digest = hashlib.sha256("\n".join(packages).encode()).hexdigest()[:12]
    directory = CACHE / "corpus" / f"{name}-{digest}"
    if not directory.is_dir():
        partial = directory.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        _lay_out([_wheel(package) for package in packages], partial)
        partial.rename(directory)
    files = [path for path in directory.rglob("*") if path.is_file()]
    return Corpus(name, directory, len(files), sum(path.stat().st_size for path in files), packages, IMAGE)


def _wheel(package: str) -> Path:
    """Return the package's wheel, downloaded with pip unless it was before."""
    target = CACHE / "wheels" / package
    if not list(target.glob("*.whl")):
        target.mkdir(parents=True, exist_ok=True)
        # The files are data here: whether the package would run on this Python does not matter.
        options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--quiet", "--dest", str(target)]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, package], check=True)
    return next(iter(target.glob("*.whl")))


def _lay_out(wheels: list[Path], directory: Path) -> None:
    """Unpack the static files of all wheels into one directory; the first of a name wins, as with Django's finders."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                _, found, name = entry.filename.partition("/static/")
                # collectstatic ignores hidden files and back-ups.
                is_hidden = any(part.startswith(".") or part.endswith("~") for part in name.split("/"))
                if not found or entry.is_dir() or is_hidden or (directory / name).exists():
                    continue
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                (directory / name).write_bytes(archive.read(entry))


@dataclass(frozen=True)
class Reference:
    """What a correct deployment of a corpus consists of: the manifest's mapping, and each file's size and MD5."""

    names: dict[str, str]
    files: dict[str, tuple[int, str]]

    def expected(self, *, hashed_only: bool) -> dict[str, tuple[int, str]]:
        """Return the names that must be public, with size and MD5."""
        wanted = set(self.names.values()) if hashed_only else set(self.names) | set(self.names.values())
        return {name: self.files[name] for name in wanted}


def reference(static_root: Path) -> Reference:
    """Read the reference from a directory that local collectstatic has filled."""
    names = json.loads((static_root / "staticfiles.json").read_text())["paths"]
    files = {}
    for name in {*names, *names.values()}:
        content = (static_root / name).read_bytes()
        files[name] = (len(content), hashlib.md5(content, usedforsecurity=False).hexdigest())
    return Reference(names, files)


def remove(directory: Path) -> None:
    """Empty a directory of the benchmark's, refusing any that lies outside its cache."""
    if CACHE not in directory.parents:
        raise ValueError(f"{directory} is not below {CACHE}")
    if directory.exists():
        directory.rename(Path(tempfile.mkdtemp(prefix="work-", dir=CACHE)) / directory.name)
    directory.mkdir(parents=True)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Give a directory on the disk that the corpora are on, to one benchmark of the machine at a time.

    It is left to `sweep`. ext4 passes over inodes that were freed in the last minutes, one by one: after thousands of
    files have been deleted it takes ten times as long to create one, which whatever is measured next would pay for.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if shutil.disk_usage(CACHE).free < ROOM:
            sweep()
        yield Path(tempfile.mkdtemp(prefix="work-", dir=CACHE))


def sweep() -> None:
    """Delete what earlier uses of `scratch` have left."""
    for directory in CACHE.glob("work-*"):
        shutil.rmtree(directory, ignore_errors=True)
