"""`examples/compressed_site`, deployed to a real server behind a CDN, as a browser sees it."""

from __future__ import annotations

import base64
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin
from urllib.request import Request, urlopen

import pytest

from ..readme import ROOT
from ..rigs import s3_client

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytest.importorskip("compressor", reason="django-compressor is not installed (extra `compressor`)")
pytest.importorskip("moto", reason="moto is not installed (dependency group `demo`)")
pytest.importorskip("flask", reason="Flask is not installed (dependency group `demo`)")

RUN = ROOT / "examples" / "compressed_site" / "run.py"
OUTPUT = ROOT / "tests" / "output"
SECONDS = 120.0
MILLISECONDS = 30_000

IMMUTABLE = "public, max-age=31536000, immutable"
HASH = re.compile(r"\.[0-9a-f]{12}(?=\.\w+$)")
TYPES = {
    "css": {"text/css"},
    "js": {"text/javascript", "application/javascript"},
    "png": {"image/png"},
    "svg": {"image/svg+xml"},
    "woff2": {"font/woff2"},
}

#: What the page loads, by its plain names: not the sources of what is compressed, and not the fallback font.
WANTED = {
    "stylesheet": {
        "CACHE/css/almanac.css",
        "CACHE/css/tides.css",
        "almanac/css/base/reset.css",
        "almanac/css/base/type.css",
    },
    "image": {
        "almanac/img/buoy.svg",
        "almanac/img/icons/lamp.svg",
        "almanac/img/icons/lines.svg",
        "almanac/img/theme/paper grain.png",
        "almanac/img/theme/waves.svg",
        "tides/img/coast.png",
        "tides/img/moon/first.svg",
        "tides/img/moon/full.svg",
        "tides/img/moon/last.svg",
        "tides/img/moon/new.svg",
    },
    "font": {"almanac/fonts/buoy.woff2", "tides/fonts/signs.woff2"},
    "script": {
        "CACHE/js/output.js",
        "almanac/js/format.js",
        "tides/js/chart.js",
        "tides/js/files.js",
        "tides/js/main.js",
        "tides/js/model/check.js",
        "tides/js/model/constants.js",
        "tides/js/model/tide.js",
    },
}
MODULES = {name for name in WANTED["script"] if not name.startswith("CACHE/")}
#: And what it loads on top as soon as somebody has turned it to night.
WANTED_AT_NIGHT = {"almanac/img/theme/stars.svg", "almanac/img/theme/waves-night.svg"}

IMAGE = "almanac/img/theme/waves.svg"
OLD_COLOUR, NEW_COLOUR = "#1d7a8c", "#8c1d4f"


class Site:
    """The example while it runs, as one would start it by hand."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.temporary = directory
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
        # What a user's machine may have configured must not reach the example.
        environment |= {"AWS_PROFILE": "nobody", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
        environment |= {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
        environment |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(directory)}
        self.process = subprocess.Popen(
            [sys.executable, str(RUN), *arguments],
            env=environment,
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output = ""
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.endpoint, self.bucket = self._wait_for(r"An S3 server runs at (\S+), with a bucket named (\w+)").groups()
        self._wait_until_deployed()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _wait_for(self, pattern: str) -> re.Match[str]:
        while True:
            line = self._lines.get(timeout=SECONDS)
            assert line is not None, f"It has ended:\n{self.output}"
            self.output += line
            if found := re.match(pattern, line):
                return found

    def _wait_until_deployed(self) -> None:
        self.page, self.files = self._wait_for(r"Open (\S+) in a browser; its files come from (\S+)").groups()
        self.directory = Path(self._wait_for(r"The site is in (\S+): change a file")[1])

    def deploy_again(self) -> None:
        """Press Enter, and wait."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self._wait_until_deployed()

    def recolour(self, name: str, old: str, new: str) -> bytes:
        """Change one colour of a static file, and return what it was."""
        app = name.partition("/")[0]
        path = self.directory / app / "static" / name
        before = path.read_bytes()
        assert before.count(old.encode()) == 1
        path.write_bytes(before.replace(old.encode(), new.encode()))
        return before

    @property
    def origin(self) -> str:
        return self.page.rstrip("/")

    @property
    def s3(self) -> Any:
        """boto3's client for the server that the site is deployed to."""
        return s3_client(self.endpoint, {"aws_access_key_id": "test", "aws_secret_access_key": "test"})

    def plain_name(self, url: str) -> str:
        """Return the name of a file without its hash, having made sure that it has one and is the CDN's."""
        assert url.startswith(self.files), url
        name = unquote(url.removeprefix(self.files).partition("?")[0].partition("#")[0])
        assert HASH.search(name), url
        return HASH.sub("", name)

    def stop(self) -> int:
        """Press Ctrl-C and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    def end(self) -> None:
        """Leave no process behind, whatever happened."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@dataclass(frozen=True)
class Loaded:
    """One answer that the browser got."""

    url: str
    kind: str
    status: int
    content_type: str
    cache_control: str | None
    allowed_origin: str | None


@dataclass
class Visit:
    """A page as a new visitor opens it: what was loaded for it, and what the browser had to complain of."""

    page: Page
    loaded: list[Loaded] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("response", self._note)
        self.page.on("requestfailed", lambda request: self.complaints.append(f"{request.url}: {request.failure}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)

    def _note(self, response: Any) -> None:
        told = response.headers
        self.loaded.append(
            Loaded(
                response.url,
                response.request.resource_type,
                response.status,
                told.get("content-type", "").partition(";")[0],
                told.get("cache-control"),
                told.get("access-control-allow-origin"),
            )
        )

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def open(self, address: str) -> None:
        self.page.goto(address, timeout=MILLISECONDS)
        self.page.wait_for_load_state("networkidle", timeout=MILLISECONDS)

    def wait_until_ready(self) -> None:
        """Wait for what the last module does last, and for the fonts."""
        self.page.wait_for_selector("body[data-ready=true]", timeout=MILLISECONDS)
        self.page.evaluate("() => document.fonts.ready.then(() => null)")
        self.page.wait_for_load_state("networkidle", timeout=MILLISECONDS)

    @property
    def files(self) -> list[Loaded]:
        """Everything but the page itself."""
        return [one for one in self.loaded if one.kind != "document"]

    def names(self, site: Site) -> dict[str, set[str]]:
        """Return the plain names of what was loaded, by kind."""
        found: dict[str, set[str]] = {}
        for one in self.files:
            if one.kind != "other":  # an icon for the tab, which some versions of Chromium load and others do not
                found.setdefault(one.kind, set()).add(site.plain_name(one.url))
        return found

    def url_of(self, site: Site, name: str) -> str:
        """Return from where the file with a plain name was loaded."""
        (url,) = {one.url for one in self.files if site.plain_name(one.url) == name}
        return url

    def shows(self, colour: str) -> bool:
        """Whether a part of the page's header has this colour."""
        picture = base64.b64encode(self.page.locator("header").screenshot()).decode()
        return bool(self.page.evaluate(COUNT_PIXELS, [picture, colour]) > 100)


COUNT_PIXELS = """async ([picture, colour]) => {
    const image = new Image();
    image.src = `data:image/png;base64,${picture}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    canvas.drawImage(image, 0, 0);
    const wanted = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    const { data } = canvas.getImageData(0, 0, image.width, image.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) count += wanted.every((part, index) => data[at + index] === part);
    return count;
}"""


@pytest.fixture(scope="module", params=["offline", "online"])
def mode(request: pytest.FixtureRequest) -> str:
    """When `{% compress %}` does its work: when the site is deployed, or when a page is rendered."""
    return str(request.param)


@pytest.fixture(scope="module")
def site(mode: str, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), *(["--online"] if mode == "online" else []))
    try:
        yield site
    finally:
        site.end()


@pytest.fixture
def visit(site: Site, browser: Browser) -> Iterator[Visit]:
    """A visitor who has never been there."""
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    try:
        yield Visit(context.new_page())
    finally:
        context.close()


def read(url: str) -> str:
    """Return what the CDN has at an address, or raise HTTPError."""
    with urlopen(Request(url), timeout=30) as response:
        assert response.headers["Cache-Control"] == IMMUTABLE, url
        return str(response.read().decode())


def test_all_files_of_the_page_come_from_the_cdn_to_be_kept_for_ever(site: Site, visit: Visit, mode: str) -> None:
    visit.open(site.page)
    visit.wait_until_ready()
    OUTPUT.mkdir(exist_ok=True)
    visit.page.screenshot(path=OUTPUT / f"compressed_site-{mode}.png", full_page=True)
    for one in visit.files:
        assert one.status == 200, one
        assert one.cache_control == IMMUTABLE, one
        assert one.content_type in TYPES[one.url.partition("?")[0].rpartition(".")[2]], one
    assert visit.names(site) == WANTED
    assert visit.complaints == []


def test_what_was_preloaded_is_what_is_used(site: Site, visit: Visit) -> None:
    visit.open(site.page)
    visit.wait_until_ready()
    urls = [one.url for one in visit.files if one.kind != "other"]
    assert len(urls) == len(set(urls))
    preloaded = visit.page.eval_on_selector_all("link[rel$=preload]", "links => links.map((link) => link.href)")
    assert {site.plain_name(url) for url in preloaded} == {
        "CACHE/css/tides.css",
        "CACHE/js/output.js",
        "almanac/fonts/buoy.woff2",
        "tides/js/model/tide.js",
    }
    used = visit.page.eval_on_selector_all(
        "script[src], link[rel=stylesheet]", "elements => elements.map((element) => element.src || element.href)"
    )
    assert {url for url in preloaded if "/CACHE/" in url} <= set(used)


def test_fonts_and_modules_pass_cors_and_work(site: Site, visit: Visit) -> None:
    visit.open(site.page)
    visit.wait_until_ready()
    crossing = {site.plain_name(one.url): one for one in visit.files if one.kind in ("font", "script")}
    for name in WANTED["font"] | MODULES:
        assert crossing[name].allowed_origin == site.origin, name
    fonts = visit.page.evaluate("() => [...document.fonts].map(({family, status}) => `${family} ${status}`).sort()")
    assert [font.replace('"', "") for font in fonts] == ["Buoy loaded", "Tide Signs loaded"]
    assert visit.page.locator("#chart path").count() == 2
    assert visit.page.locator("#turns li").count() >= 3
    assert visit.page.locator("#files tr").count() >= len(MODULES)


def test_without_the_buckets_cors_rule_fonts_and_modules_are_refused(site: Site, visit: Visit) -> None:
    """The other tests would notice."""
    rules = site.s3.get_bucket_cors(Bucket=site.bucket)["CORSRules"]
    site.s3.delete_bucket_cors(Bucket=site.bucket)
    try:
        visit.open(site.page)
    finally:
        site.s3.put_bucket_cors(Bucket=site.bucket, CORSConfiguration={"CORSRules": rules})
    refused = "\n".join(text for text in visit.complaints if "CORS" in text)
    for name in ("almanac/fonts/buoy", "tides/js/main", "tides/js/model/tide"):
        assert f"/{name}." in refused
    assert visit.page.locator("#chart path").count() == 0


def test_compressed_scripts_and_nested_images_work(site: Site, visit: Visit) -> None:
    visit.open(site.page)
    visit.wait_until_ready()
    visit.page.click("#menu")
    assert visit.page.locator("#contents a").all_text_contents()[0] == "At the point"
    assert visit.page.evaluate("() => document.documentElement.className") == "scripted"
    with visit.page.expect_response("**/stars.*"), visit.page.expect_response("**/waves-night.*"):
        visit.page.click("#night")
    assert visit.names(site)["image"] == WANTED["image"] | WANTED_AT_NIGHT
    assert visit.complaints == []


def test_no_css_names_a_file_that_is_not_there_or_may_change(site: Site, visit: Visit) -> None:
    visit.open(site.page)
    visit.wait_until_ready()
    sheets = {one.url: read(one.url) for one in visit.files if one.kind == "stylesheet"}
    sheets[site.page] = "".join(visit.page.locator("style").all_text_contents())
    named = set()
    for sheet, css in sheets.items():
        for found in re.findall(r"url\(\s*[\"']?([^\"')]+)|@import\s*[\"']([^\"']+)", css):
            url = "".join(found)
            if not url.startswith("data:"):
                named.add(urljoin(sheet, url))
    assert {site.plain_name(url) for url in named} >= {"almanac/fonts/buoy.woff", "almanac/css/base/reset.css"}
    for url in named:
        with urlopen(url.partition("#")[0], timeout=30) as response:
            assert response.headers["Cache-Control"] == IMMUTABLE, url


@pytest.mark.parametrize("name", ["tides/js/chart.js", "tides/css/tides.css"])
def test_source_maps_are_found(site: Site, name: str) -> None:
    manifest = json.loads(site.s3.get_object(Bucket=site.bucket, Key="static/staticfiles.json")["Body"].read())
    url = site.files + manifest["paths"][name]
    link = re.search(r"sourceMappingURL=(\S+)", read(url))
    assert link is not None
    source_map = json.loads(read(urljoin(url, link[1])))
    assert source_map["file"] == name.rpartition("/")[2]


def test_a_changed_image_is_seen_at_once_and_the_old_one_stays(site: Site, visit: Visit, browser: Browser) -> None:
    visit.open(site.page)
    visit.wait_until_ready()
    assert visit.shows(OLD_COLOUR)
    assert not visit.shows(NEW_COLOUR)
    old_image, old_sheet = visit.url_of(site, IMAGE), visit.url_of(site, "CACHE/css/almanac.css")
    old_urls = {one.url for one in visit.files}

    old_content = site.recolour(IMAGE, OLD_COLOUR, NEW_COLOUR)
    site.deploy_again()

    visitor = Visit(browser.new_page(viewport={"width": 1100, "height": 900}))
    # Who has never been there, and who has been there before and whose browser keeps everything.
    for someone in (visitor, visit):
        someone.open(site.page)
        someone.wait_until_ready()
        assert someone.shows(NEW_COLOUR)
        assert not someone.shows(OLD_COLOUR)
        assert someone.complaints == []
    visitor.page.close()
    assert visitor.names(site) == WANTED
    moved = {one.url for one in visitor.files} - old_urls
    assert {site.plain_name(url) for url in moved} == {IMAGE, "CACHE/css/almanac.css"}

    assert read(old_image) == old_content.decode()
    assert old_image in read(old_sheet)


def test_ctrl_c_ends_it_and_leaves_nothing_behind(site: Site) -> None:
    assert site.stop() == 0, site.output
    assert list(site.temporary.iterdir()) == []
