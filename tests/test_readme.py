"""Every code block of README.md is run here, in a project of its own against an S3 server, or compared."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from .readme import ROOT, blocks
from .servers.base import require
from .servers.moto import CREDENTIALS, Moto

BLOCKS = {block.name: block for block in blocks()}

#: What the blocks of settings are added to: the part of a settings.py that README takes for granted.
SETTINGS_BEFORE = """\
import os
from pathlib import Path

BASE_DIR = Path(__file__).parent
SECRET_KEY = "only for tests"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.staticfiles"]
STATICFILES_DIRS = [BASE_DIR / "assets"]
USE_TZ = True
"""

MANAGE = """\
import os, sys

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.management import execute_from_command_line

execute_from_command_line(sys.argv)
"""

NAMES = {"css/site.css", "img/logo.svg"}


class Project:
    """A Django project that holds blocks of README and runs them with its own manage.py."""

    def __init__(self, directory: Path, endpoint: str) -> None:
        self.directory = directory
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DJANGO_"))},
            **{name.upper(): value for name, value in CREDENTIALS.items()},
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "GIT_COMMIT": "0123abcd",
            "PYTHONPATH": str(ROOT),
        }
        self.s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **CREDENTIALS)
        for file, text in {
            "manage.py": MANAGE,
            "assets/css/site.css": "body { background: url(../img/logo.svg) }\n",
            "assets/img/logo.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>\n",
        }.items():
            (directory / file).parent.mkdir(parents=True, exist_ok=True)
            (directory / file).write_text(text)

    def configure(self, *names: str) -> None:
        """Write settings.py from blocks of README, in their order."""
        text = "\n".join([SETTINGS_BEFORE, *(BLOCKS[name].text for name in names)])
        (self.directory / "settings.py").write_text(text)

    def run(self, *command: str, without_credentials: bool = False) -> str:
        """Run a command in the project, with this Python for `python`, and return what it printed."""
        environment = dict(self.environment)
        if without_credentials:
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
                del environment[name]
            # Where a request is made all the same it meets a port that nobody listens on.
            environment |= {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_EC2_METADATA_DISABLED": "true"}
        done = subprocess.run(
            [sys.executable if word == "python" else word for word in command],
            cwd=self.directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{shlex.join(command)} failed:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def run_block(self, name: str, *, without_credentials: bool = False) -> str:
        """Run a one-line shell block of README."""
        return self.run(*shlex.split(BLOCKS[name].text), without_credentials=without_credentials)

    def objects(self) -> set[str]:
        """Return the keys in the static bucket, but for localmirror's own."""
        listed = self.s3.list_objects_v2(Bucket="example-static").get("Contents", [])
        return {entry["Key"] for entry in listed if not entry["Key"].startswith(".localmirror/")}

    def mirrored(self) -> set[str]:
        """Return the names in the static mirror, but for localmirror's own."""
        root = self.directory / "mirror" / "static"
        files = {file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file()}
        return {name for name in files if not name.startswith(".localmirror/")}


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    with require(Moto()) as server:
        yield server


@pytest.fixture
def project(moto: Moto, tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path, moto.url)
    buckets = ("example-static", "example-media")
    for bucket in buckets:
        made.s3.create_bucket(Bucket=bucket)
    yield made
    for bucket in buckets:
        for entry in made.s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            made.s3.delete_object(Bucket=bucket, Key=entry["Key"])
        made.s3.delete_bucket(Bucket=bucket)


def hashed(names: set[str]) -> set[str]:
    return {name for name in names if re.search(r"\.[0-9a-f]{12}\.", name)}


def test_every_block_has_a_name_and_a_test() -> None:
    tested = {
        "install",
        "demo",
        "tests",
        "settings",
        "collect",
        "storage",
        "storage-settings",
        "stage",
        "publish",
        "image-settings",
        "release-settings",
        "demo-output",
    }
    assert {block.name for block in blocks()} == tested
    assert len(BLOCKS) == len(blocks()), "two blocks have one name"


def test_install_names_extras_that_exist() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    command = shlex.split(BLOCKS["install"].text)
    assert command[:4] == ["python", "-m", "pip", "install"]
    name, extra = re.fullmatch(r"([\w-]+)\[(\w+)\]", command[4]).groups()
    assert name == project["name"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    documented = re.findall(r"`(\w+)`", readme[readme.index("The extras are") :].split("\n\n")[0])
    assert {extra, *documented} == set(project["optional-dependencies"])


@pytest.mark.parametrize("name", ["demo", "tests"])
def test_the_two_commands_run_a_session_that_exists(name: str) -> None:
    venv, install, nox = (shlex.split(part) for part in BLOCKS[name].text.split("&&"))
    assert venv == ["python3", "-m", "venv", ".venv"]
    assert install == [".venv/bin/pip", "install", "-q", "nox"]
    assert nox == [".venv/bin/nox", "-s", name]
    assert re.search(rf"^def {name}\(session", (ROOT / "noxfile.py").read_text(), re.MULTILINE)


def test_settings_and_collectstatic_publish_a_release(project: Project) -> None:
    project.configure("settings")
    project.run_block("collect")
    names = project.objects()
    assert names == project.mirrored()
    assert names >= NAMES | {"staticfiles.json"}
    assert len(hashed(names)) == 2

    imports = "from io import BytesIO; from django.core.files.storage import default_storage"
    project.run("python", "manage.py", "shell", "-c", f"{imports}; default_storage.save('a', BytesIO(b'1'))")
    assert project.s3.get_object(Bucket="example-media", Key="a")["Body"].read() == b"1"
    assert (project.directory / "mirror" / "media" / "a").read_bytes() == b"1"


def test_a_class_of_ones_own_publishes_hashed_files_only(project: Project) -> None:
    (project.directory / "storage.py").write_text(BLOCKS["storage"].text)
    project.configure("settings", "storage-settings")
    project.run_block("collect")
    names = project.objects()
    assert names == hashed(names) | {"staticfiles.json"}
    assert len(hashed(names)) == 2
    assert project.mirrored() == names | NAMES


def test_stage_needs_no_network_and_publish_does_the_rest(project: Project) -> None:
    project.configure("settings", "image-settings")

    project.run_block("stage", without_credentials=True)
    staged = project.mirrored()
    assert staged >= NAMES | {"staticfiles.json"}
    assert project.objects() == set()

    project.run_block("publish")
    assert project.objects() == staged


def test_a_pinned_release_is_published_under_its_id(project: Project) -> None:
    project.configure("settings", "release-settings")
    project.run_block("collect")
    listed = project.s3.list_objects_v2(Bucket="example-static", Prefix=".localmirror/releases/0123abcd/")
    assert listed["KeyCount"] > 0
    pinned = "from django.templatetags.static import static; print(static('css/site.css'))"
    url = project.run("python", "manage.py", "shell", "-v0", "-c", pinned).strip()
    assert hashed({url}), url


def test_the_table_of_the_demo_is_one_that_it_prints() -> None:
    demo = (ROOT / "examples" / "quickstart" / "demo.py").read_text(encoding="utf-8")
    head, *rows = BLOCKS["demo-output"].text.splitlines()
    assert [row[:17].rstrip() for row in rows] == re.findall(r'demo\.deploy\("(.*?)"\)', demo)
    assert set(head.split()) <= set(re.findall(r'"(\w+)"', demo))
    for row in rows:
        files, _, uploaded, current, failed = map(int, row[17:].split()[:5])
        assert uploaded + current + failed == files


def test_its_figures_are_those_of_the_last_benchmark() -> None:
    measured = (ROOT / "docs" / "benchmark" / "short.md").read_text()
    assert measured in (ROOT / "README.md").read_text()
