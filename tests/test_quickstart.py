"""`examples/quickstart` as a user runs it: the figures of its story agree, and its page has all its files."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urljoin
from urllib.request import urlopen

import pytest

from .readme import ROOT

DEMO = ROOT / "examples" / "quickstart" / "demo.py"
SECONDS = 240.0

#: What the dependency group `demo` brings.
MODULES = ("dal", "django_countries", "flask", "flask_cors", "moto", "rest_framework")
MISSING = [name for name in MODULES if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (dependency group `demo`)")

HASHED = re.compile(r"\.[0-9a-f]{12}\.\w+$")


class Running:
    """The demonstration with `--serve`, and what it has printed so far."""

    def __init__(self, directory: Path) -> None:
        self.temporary = directory
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
        # What a user's machine may have configured must not reach the demonstration.
        environment |= {"AWS_PROFILE": "nobody", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
        environment |= {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
        environment |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(directory)}
        self.process = subprocess.Popen(
            [sys.executable, str(DEMO), "--serve"],
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self.ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("Open "):
                self.ready.set()
        self.ready.set()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def search(self, pattern: str) -> re.Match[str]:
        found = re.search(pattern, self.output, re.MULTILINE)
        assert found, f"{pattern!r} is not in:\n{self.output}"
        return found

    def stop(self) -> int:
        """Press Ctrl-C and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(30)
        finally:
            self.end()

    def end(self) -> None:
        """Leave no process behind, whatever happened."""
        self.process.kill()
        self.process.wait()
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("quickstart"))
    try:
        assert running.ready.wait(SECONDS), running.output
        running.search("^Open ")
        yield running
    finally:
        running.end()


@dataclass(frozen=True)
class Row:
    """A line of the table: what one deployment did."""

    files: int
    objects: int
    uploaded: int
    current: int
    failed: int
    requests: dict[str, int]

    @property
    def own(self) -> int:
        """How many objects besides the release's files were stored: manifest and records."""
        return self.requests["PUT"] - self.uploaded - self.failed


@pytest.fixture
def table(demo: Running) -> dict[str, Row]:
    start = next(number for number, line in enumerate(demo.lines) if line.split()[:2] == ["files", "objects"])
    heads = demo.lines[start].split()
    rows = {}
    for line in demo.lines[start + 1 :]:
        if not line:
            break
        title, numbers = re.fullmatch(r"(.+?)((?: +[\d.]+)+)", line).groups()
        told = dict(zip(heads, numbers.split(), strict=True))
        assert float(told.pop("seconds")) > 0
        counted = {name: int(value) for name, value in told.items()}
        row = Row(*(counted.pop(name) for name in heads[:5]), counted)
        rows[title.strip()] = row
    return rows


def test_every_promise_of_the_story_was_kept(demo: Running) -> None:
    said = [line.split()[0] for line in demo.lines if re.match(r" {4}(yes|NO) ", line)]
    assert said == ["yes"] * 9
    assert [line for line in demo.lines if "Traceback" in line] == []
    assert re.findall(r"exit code (\d+)$", demo.output, re.MULTILINE) == ["0", "0", "0", "1", "0"]


def test_the_site_has_over_400_real_files_of_several_packages(demo: Running) -> None:
    assert int(demo.search(r"^(\d+) static files copied")[1]) > 400
    for name in ("admin/css/base.css", "rest_framework/css/bootstrap.min.css", "flags/sprite.css"):
        read(address(demo, name))


def test_the_figures_of_the_table_agree(table: dict[str, Row]) -> None:
    assert list(table) == [
        "first deployment",
        "nothing changed",
        "one image changed",
        "upload refused",
        "run again",
    ]
    before = 0
    for title, row in table.items():
        assert row.uploaded + row.current + row.failed == row.files, title
        assert row.requests["LIST"] == 1, title  # fewer than 1,000 names
        assert row.requests.get("DELETE", 0) == row.requests.get("POST", 0) == 0, title
        assert row.objects >= before, title
        before = row.objects


def test_the_first_deployment_sends_each_file_once(table: dict[str, Row]) -> None:
    row = table["first deployment"]
    assert row.current == row.failed == 0
    assert row.requests["PUT"] == row.objects
    assert sum(row.requests.values()) <= row.objects + 6


def test_an_unchanged_site_costs_next_to_nothing(table: dict[str, Row]) -> None:
    row = table["nothing changed"]
    assert row.uploaded == row.requests["PUT"] == 0
    assert sum(row.requests.values()) <= 3
    assert row.objects == table["first deployment"].objects


def test_a_changed_image_moves_alone_with_the_css_that_names_it(table: dict[str, Row], demo: Running) -> None:
    row = table["one image changed"]
    assert row.uploaded == 3
    assert row.own == table["first deployment"].own
    # Two of the files and what belongs to a new release, but for the manifest, are new names.
    assert row.objects - table["nothing changed"].objects == 2 + row.own - 1
    demo.search(r"pages/css/site\.[0-9a-f]{12}\.css -> pages/css/site\.[0-9a-f]{12}\.css$")


def test_a_refused_upload_is_named_with_its_reason_and_nothing_goes_live(table: dict[str, Row], demo: Running) -> None:
    row = table["upload refused"]
    assert (row.failed, row.own) == (1, 0)
    demo.search(r"^pages/img/harbour\.[0-9a-f]{12}\.svg: .*broken on purpose")
    demo.search(r"^CommandError: 1 of \d+ files could not be uploaded to .*bucket 'quickstart'")


def test_after_the_repair_only_what_was_missing_goes_up(table: dict[str, Row]) -> None:
    row = table["run again"]
    assert (row.uploaded, row.failed) == (1, 0)
    assert row.own == table["first deployment"].own


class Links(HTMLParser):
    """The addresses of what a page loads by itself."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if value and name in ("src", "href")]


def address(demo: Running, name: str) -> str:
    """Return where a static file lies in the bucket."""
    return demo.search(r"static files come from (\S+)")[1] + name


def read(url: str) -> tuple[bytes, str]:
    """Return what lies at an address, and its content type."""
    with urlopen(url, timeout=30) as response:
        return response.read(), response.headers.get_content_type()


def test_the_page_and_all_its_files_can_be_opened(demo: Running) -> None:
    bucket = address(demo, "")
    page, content_type = read(demo.search(r"^Open (\S+) in a browser")[1])
    assert content_type == "text/html"
    wanted = Links(page.decode()).found
    seen: dict[str, str] = {}
    while wanted:
        url = wanted.pop()
        if url in seen:
            continue
        assert url.startswith(bucket), url
        assert HASHED.search(url), url
        content, seen[url] = read(url)
        if seen[url] == "text/css":
            inside = re.findall(r"url\(['\"]?([^'\")#?]+)", content.decode())
            wanted += [urljoin(url, link) for link in inside if not link.startswith("data:")]
    assert set(seen.values()) >= {"text/css", "image/svg+xml", "image/png", "image/gif", "font/woff2"}
    assert {kind for kind in seen.values() if "javascript" in kind}


def test_ctrl_c_stops_it_and_leaves_nothing_behind(demo: Running) -> None:
    servers = [demo.search(r"^Open (\S+) in")[1], address(demo, "staticfiles.json")]
    for server in servers:
        read(server)
    assert demo.stop() == 0, demo.output
    assert demo.lines[-1] == "Stopped."
    assert list(demo.temporary.iterdir()) == []
    for server in servers:
        with pytest.raises(URLError):
            read(server)
