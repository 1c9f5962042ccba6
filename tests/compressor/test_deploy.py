"""collectstatic, compress and a page, as a user deploys them: on each remote, through each door, on two hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from ..corpus import Project
from ..rigs import (
    AzureRig,
    GcsRig,
    GenericFileSystemRig,
    LibCloudLocalRig,
    LibCloudS3Rig,
    Rig,
    S3MotoRig,
    prepared,
)
from .site import (
    RENDER,
    assert_urls_are_public,
    base_address,
    bundles,
    deploy,
    hashed_names,
    make_site,
    mirror_of,
    render,
)

MANIFEST = "CACHE/manifest.json"


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3MotoRig]:
    with prepared(S3MotoRig, tmp_path) as ready:
        yield ready


def assert_deployed(site: Project, rig: Rig, page: str, prefix: str = "", cached: bool = True) -> None:
    """All that the page, its style sheets and the manifests name is in the mirror and on the remote, byte for byte."""
    address = base_address(rig, **({"location": prefix.rstrip("/")} if prefix else {}))
    names = hashed_names(rig, prefix)
    public = rig.raw_all()
    mirror = mirror_of(site)
    output = {name.removeprefix(prefix) for name in public if name.startswith(f"{prefix}CACHE/")}
    for name in names | output:
        assert (mirror / name).read_bytes() == public[f"{prefix}{name}"], name
    style_sheets = {name: css for name, css in bundles(public).items() if name.startswith(prefix)}
    assert len(style_sheets) == 2
    for name, css in style_sheets.items():
        assert_urls_are_public(css, address, names)
        if cached:
            head = rig.raw_head(name)
            assert (head.cache_control, head.content_type) == ("public, max-age=31536000, immutable", "text/css")
    linked = [url for url in page.split('"') if url.startswith(address)]
    assert len(linked) == 5
    assert {url.removeprefix(address) for url in linked} <= output | names
    inline = page[page.index("<style") : page.index("</style>")]
    assert_urls_are_public(inline, address, names)


@pytest.mark.parametrize(
    ("rig", "door"),
    [
        (S3MotoRig.name, "aliases"),
        (S3MotoRig.name, "settings"),
        (AzureRig.name, "aliases"),
        (GcsRig.name, "aliases"),
    ],
    indirect=["rig"],
)
def test_what_a_page_needs_is_public_and_in_the_mirror(rig: Rig, door: str, tmp_path: Path) -> None:
    site = make_site(tmp_path / "one", rig, door=door)
    deploy(site)
    with rig.wire.recording() as cold:
        page = render(site)
    assert_deployed(site, rig, page)
    assert len(cold) <= 2  # the manifests: of static files, and of compressed blocks
    assert all(request.operation == "download" for request in cold)
    with rig.wire.recording() as warm:
        assert render(site, times=5).count("<!doctype") == 1
    assert len(warm) == len(cold)
    before = rig.raw_all()
    with rig.wire.recording() as again:
        assert site.run("compress", "--force").returncode == 0
    assert again.operations() == {"download": 1, "list": 1, "stat": 1}
    assert rig.raw_all() == before


@pytest.mark.parametrize("rig", [LibCloudLocalRig.name, LibCloudS3Rig.name, GenericFileSystemRig.name], indirect=True)
def test_pages_on_other_remotes(rig: Rig, tmp_path: Path) -> None:
    # A web server before local files is at STATIC_URL, which libcloud's LOCAL driver cannot know.
    site = make_site(tmp_path / "one", rig)
    deploy(site)
    assert_deployed(site, rig, render(site), cached=False)


@pytest.mark.parametrize("rig", [S3MotoRig.name, AzureRig.name, GcsRig.name], indirect=True)
def test_a_page_that_compresses_while_it_is_rendered(rig: Rig, tmp_path: Path) -> None:
    dummy = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    site = make_site(tmp_path / "one", rig, offline=False, settings={"CACHES": dummy})
    assert site.run("collectstatic", "--no-input").returncode == 0
    page = render(site)
    assert_deployed(site, rig, page)
    with rig.wire.recording() as seen:
        assert render(site, times=5) == page
    assert len(seen) == 1  # the manifest of static files
    # A host that has nothing fetches each source and each bundle once, and sends nothing.
    other = make_site(tmp_path / "two", rig, offline=False, settings={"CACHES": dummy})
    with rig.wire.recording() as seen:
        assert render(other, times=3) == page
    downloads = seen.names("download")
    assert len(seen) == len(downloads) == len(set(downloads))
    assert_deployed_bytes_agree(other, rig)


def assert_deployed_bytes_agree(site: Project, rig: Rig) -> None:
    mirror = mirror_of(site)
    copies = {path.relative_to(mirror).as_posix() for path in mirror.rglob("*") if path.is_file()}
    for name in {name for name in copies if not name.startswith(".localmirror/")}:
        assert (mirror / name).read_bytes() == rig.raw_get(name), name


@pytest.mark.parametrize("prefix", ["static", "a b/ü"])
def test_below_a_prefix(s3: Rig, tmp_path: Path, prefix: str) -> None:
    # Django's {% static %} undoes the percent-encoding, and compressor compares with COMPRESS_URL letter by letter.
    address = unquote(base_address(s3, location=prefix))
    site = make_site(tmp_path / "one", s3, location=prefix, settings={"STATIC_URL": address})
    deploy(site)
    assert_deployed(site, s3, render(site), f"{prefix}/")
    assert all(name.startswith(f"{prefix}/") for name in s3.raw_list())


def test_behind_a_domain(s3: Rig, tmp_path: Path) -> None:
    site = make_site(tmp_path / "one", s3, location="static", custom_domain="cdn.example.com", url_protocol="https:")
    deploy(site)
    address = "https://cdn.example.com/static/"
    assert address in render(site)
    for css in bundles(s3.raw_all()).values():
        assert_urls_are_public(css, address, hashed_names(s3, "static/"))


@pytest.mark.parametrize("offline", [True, False])
def test_another_host_with_an_empty_mirror_makes_the_same(s3: Rig, tmp_path: Path, offline: bool) -> None:
    one = make_site(tmp_path / "one", s3, offline=offline)
    deploy(one)
    page, before = render(one), s3.raw_all()
    two = make_site(tmp_path / "two", s3, offline=offline)
    with s3.wire.recording() as seen:
        compressed = two.run("compress", "--force")
    assert compressed.returncode == 0, compressed
    assert seen.of("upload") == []
    downloads = seen.names("download")
    assert len(downloads) == len(set(downloads))
    assert s3.raw_all() == before
    assert (mirror_of(two) / MANIFEST).read_bytes() == before[MANIFEST]
    assert render(two) == page


def test_after_one_source_has_changed_the_new_css_is_published(s3: Rig, tmp_path: Path) -> None:
    one = make_site(tmp_path / "one", s3)
    deploy(one)
    old_page, old = render(one), bundles(s3.raw_all())
    two = make_site(tmp_path / "two", s3)
    assert render(two) == old_page

    one.corpus.write("css/site.css", b".new { background: url(../img/logo.png) }\n")
    one.corpus.change("img/logo.png")
    deploy(one)
    page, output = render(one), bundles(s3.raw_all())
    new = {name: css for name, css in output.items() if name not in old}
    assert len(new) == 2
    assert old.items() <= output.items()  # pages that are still open find the old ones
    for name, css in new.items():
        assert name in page
        assert ".new{" in css
        assert ".leaf{" not in css
        assert_urls_are_public(css, base_address(s3), hashed_names(s3))
    assert render(two) == page


@pytest.mark.parametrize("publish", ["all", "hashed"])
def test_another_host_never_compresses_an_old_source(s3: Rig, tmp_path: Path, publish: str) -> None:
    """The second host has an old, unhashed copy in its mirror, which it asks about after ``mirror_max_age``."""
    options = {"mirror_max_age": 0, "mirror_publish": publish}
    one, two = (make_site(tmp_path / host, s3, **options) for host in ("one", "two"))
    deploy(one)
    deploy(two)
    for site in (one, two):
        site.corpus.write("css/site.css", b".new { color: red }\n")
    deploy(one)
    live = s3.raw_get(MANIFEST)
    if publish == "all":  # else the host has to collect: originals are nowhere but there
        assert two.run("compress", "--force").returncode == 0
        assert s3.raw_get(MANIFEST) == live
    else:
        deploy(two)
        assert s3.raw_get(MANIFEST) == live
    assert ".new{" in bundles(s3.raw_all())[_linked(render(two), "plain")]


def _linked(page: str, block: str) -> str:
    (name,) = {url[url.index("CACHE/") :] for url in page.split('"') if f"CACHE/css/{block}." in url}
    return name


@pytest.mark.parametrize("publish", ["all", "hashed"])
def test_compressing_between_staging_and_publishing(s3: Rig, tmp_path: Path, publish: str) -> None:
    site = make_site(tmp_path / "one", s3, mirror_max_age=0, mirror_publish=publish)
    deploy(site)
    site.corpus.write("css/site.css", b".new { color: red }\n")
    assert site.run("collectstatic", "--no-input", "--stage").returncode == 0
    # The manifest that templates see is still the live one; what is reached by its plain name is the staged file.
    assert site.run("compress", "--force").returncode == 0
    plain = bundles(s3.raw_all())[_linked(render(site), "plain")]
    assert plain == ".new{color:red}"
    published = site.run("localmirror", "publish")
    assert published.returncode == 0, published
    assert (mirror_of(site) / "css/site.css").read_bytes() == b".new { color: red }\n"


def test_a_bucket_that_was_emptied_or_switched_is_healed(s3: Rig, tmp_path: Path) -> None:
    site = make_site(tmp_path / "one", s3)
    deploy(site)
    page, before = render(site), s3.raw_all()
    for name in s3.raw_list():
        s3.raw_delete(name)
    deploy(site)
    assert {name for name in s3.raw_list() if "CACHE/" in name} == {name for name in before if "CACHE/" in name}
    assert render(site) == page
    for name in [name for name in before if name.startswith("CACHE/")]:
        s3.raw_delete(name)
    assert site.run("compress").returncode == 0
    assert s3.raw_all() == {name: s3.raw_get(name) for name in before}

    for alias in ("staticfiles", "compressor", "compressor-offine"):
        site.settings["STORAGES"][alias]["OPTIONS"]["location"] = "elsewhere"
    site.settings["STATIC_URL"] = base_address(s3, location="elsewhere")
    site.write()
    deploy(site)
    assert_deployed(site, s3, render(site), "elsewhere/")


def test_old_and_new_code_side_by_side_find_their_own_blocks(s3: Rig, tmp_path: Path) -> None:
    one = make_site(tmp_path / "one", s3, mirror_release="v1")
    deploy(one)
    old_page = render(one)
    two = make_site(tmp_path / "two", s3, mirror_release="v2")
    two.corpus.write("css/site.css", b".new { color: red }\n")
    deploy(two)
    assert render(one) == old_page
    assert render(two) != old_page


def test_the_offline_manifest_does_not_depend_on_threads(s3: Rig, tmp_path: Path) -> None:
    site = make_site(tmp_path / "one", s3)
    deploy(site)
    keys = list(json.loads(s3.raw_get(MANIFEST)))
    assert len(keys) == 5
    assert keys == sorted(keys)


def test_a_static_file_that_is_only_called_manifest_json(s3: Rig, tmp_path: Path) -> None:
    """A web app's own manifest keeps its name, with the settings that are recommended."""
    site = make_site(tmp_path / "one", s3)
    site.corpus.write("manifest.json", b'{"name": "web app"}')
    deploy(site)
    assert s3.raw_get("manifest.json") == b'{"name": "web app"}'
    assert len(json.loads(s3.raw_get(MANIFEST))) == 5


def test_a_page_renders_while_the_remote_is_down(s3: Rig, tmp_path: Path) -> None:
    site = make_site(tmp_path / "one", s3)
    deploy(site)
    page = render(site)
    s3.wire.fail(503)
    code = f"{RENDER}\nprint(render())"
    environment = {"AWS_MAX_ATTEMPTS": "1"}
    done = site.python(code, **environment)
    assert done.returncode == 0, done
    assert done.stdout == page
    assert "may be older" in done.stderr
