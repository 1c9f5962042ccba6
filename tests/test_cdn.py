"""A CDN's domain, a prefix in the bucket, and both: the same files under the same names, and links that resolve.

What is right is what Django's own storage makes of the same files in a directory of this machine.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from django.core.files.base import ContentFile

from .compressor.site import bundles, make_site, render, urls_in
from .compressor.site import deploy as deploy_and_compress
from .corpus import Project
from .deploying import MANIFEST, deploy, manifest, mirrored, public, succeeded
from .rigs import BY_NAME, GenericFtpRig, GenericSftpRig, Rig
from .servers.azurite import ACCOUNT

DOMAIN = "cdn.example.com"
VARIANTS = {"domain": ("", DOMAIN), "location": ("static", ""), "both": ("st/atic", DOMAIN)}

Words = tuple[dict[str, Any], str]


def _s3(rig: Rig, location: str, domain: str) -> Words:
    root = f"https://{domain}/" if domain else f"{rig.wire.url}/{rig.bucket}/"
    return {"location": location, "custom_domain": domain or None}, root


def _azure(rig: Rig, location: str, domain: str) -> Words:
    # The domain takes the account's place; on the emulator alone, the account is also the first part of the path.
    root = f"http://{domain}/{ACCOUNT}/{rig.bucket}/" if domain else f"{rig.wire.url}/{ACCOUNT}/{rig.bucket}/"
    return {"location": location, "custom_domain": domain or None}, root


def _gcloud(rig: Rig, location: str, domain: str) -> Words:
    endpoint = f"https://{domain}" if domain else f"{rig.wire.url}/{rig.bucket}"
    return {"location": location, "custom_endpoint": endpoint}, f"{endpoint}/"


def _libcloud(rig: Rig, location: str, domain: str) -> Words:
    if domain:
        return {"location": location, "base_url": f"https://{domain}/{_slashed(location)}"}, f"https://{domain}/"
    # What is on this machine has no public address but the one of a web server, which has to know of the location.
    root = f"{rig.wire.url}/{rig.bucket}/" if rig.http else "/static/".removesuffix(_slashed(location))
    return {"location": location}, root


def _generic(rig: Rig, location: str, domain: str) -> Words:
    root = f"https://{domain}/" if domain else "/remote/"
    options = {"base_url": root + _slashed(location)}
    if isinstance(rig, GenericSftpRig):
        options["root_path"] = str(rig.root / location)
    elif isinstance(rig, GenericFtpRig):
        options["location"] = rig.options()["location"] + _slashed(location)
        (rig.root / location).mkdir(parents=True, exist_ok=True)  # as a bucket, it has to be there
    else:
        options["location"] = f"{rig.options()['location']}/{location}"
    return options, root


#: How each family of storages spells domain and location, and the address of the bucket's root that follows from it.
SPELT: dict[str, Callable[[Rig, str, str], Words]] = {
    "s3": _s3,
    "azure": _azure,
    "gcloud": _gcloud,
    "libcloud": _libcloud,
    "generic": _generic,
}


#: In memory there are no directories to begin in.
RIGS = [name for name in BY_NAME if name != "generic-memory"]


def _slashed(location: str) -> str:
    return f"{location}/" if location else ""


@pytest.fixture(params=list(VARIANTS))
def variant(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A location, with a slash at its end, and a domain; one of them may be empty."""
    return VARIANTS[request.param]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What Django's own storage makes of the corpus."""
    directory = tmp_path_factory.mktemp("local")
    project = Project.make(directory, BY_NAME["generic-memory"](directory))
    backend = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    project.settings["STORAGES"]["staticfiles"] = {"BACKEND": backend}
    project.call("collectstatic", interactive=False)
    root = Path(project.settings["STATIC_ROOT"])
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def key_behind(url: str, root: str) -> str:
    """Return the full key in the bucket that a CDN at *root* would answer *url* with."""
    assert url.startswith(root), url
    return unquote(url.removeprefix(root))


def without_manifest(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return all but the manifest, in which versions of Django note more than the names."""
    return {name: content for name, content in files.items() if name != MANIFEST}


@pytest.mark.parametrize("rig", RIGS, indirect=True)
def test_static_files(rig: Rig, tmp_path: Path, variant: tuple[str, str], local: dict[str, bytes]) -> None:
    location, domain = variant
    options, root = SPELT[rig.module](rig, location, domain)
    project = Project.make(tmp_path, rig, **options)
    project.call("collectstatic", interactive=False)

    assert all(key.startswith(_slashed(location)) for key in rig.raw_list())
    files = public(rig, _slashed(location))
    assert manifest(files) == manifest(local)
    assert without_manifest(files) == without_manifest(local)
    assert without_manifest(mirrored(rig)) == without_manifest(local)

    storage = project.storage()
    for plain, hashed in manifest(local).items():
        with project.active():
            key = key_behind(storage.url(plain), root)
        assert key == _slashed(location) + hashed
        assert rig.raw_get(key) == local[hashed]


@pytest.mark.parametrize("rig", ["s3-moto", "azure-azurite", "gcs-emulator", "libcloud-s3-moto"], indirect=True)
def test_another_domain_needs_no_upload(rig: Rig, tmp_path: Path) -> None:
    options, _ = SPELT[rig.module](rig, "static", "")
    project = Project.make(tmp_path, rig, **options)
    succeeded(deploy(rig, project))
    options, root = SPELT[rig.module](rig, "static", DOMAIN)
    project.set_options(**options)
    assert succeeded(deploy(rig, project)).uploads == []
    with project.active():
        assert project.storage().url("css/site.css").startswith(f"{root}static/css/site.")


@pytest.mark.parametrize("rig", RIGS, indirect=True)
def test_output_of_compressor(rig: Rig, variant: tuple[str, str]) -> None:
    location, domain = variant
    options, root = SPELT[rig.module](rig, location, domain)
    storage = rig.storage("compressor", **options)
    name = "CACHE/css/output.6dd7f5ae1a2f.css"
    content = b"a{}"

    assert storage.save(name, ContentFile(content)) == name
    assert key_behind(storage.url(name), root) == _slashed(location) + name
    assert rig.raw_get(_slashed(location) + name) == content
    assert Path(storage.path(name)).read_bytes() == content
    if domain:
        assert storage.base_address() == root + _slashed(location)


@pytest.mark.parametrize("rig", ["s3-moto", "azure-azurite", "gcs-emulator", "libcloud-s3-moto"], indirect=True)
def test_links_in_compressed_css_resolve(rig: Rig, tmp_path: Path) -> None:
    location, domain = VARIANTS["both"]
    options, root = SPELT[rig.module](rig, location, domain)
    site = make_site(tmp_path, rig, settings={"STATIC_URL": root + _slashed(location)}, **options)

    deploy_and_compress(site)

    sheets = bundles(rig.raw_all())
    assert sheets
    links = {url for css in sheets.values() for url in urls_in(css) if url.startswith(root)}
    hashed = set(manifest(public(rig, _slashed(location))).values())
    assert links
    for url in links:
        key = key_behind(url.partition("#")[0].partition("?")[0], root)
        assert key.removeprefix(_slashed(location)) in hashed
        assert rig.raw_get(key)
    page = render(site)
    for key in sheets:
        assert f'"{root}{key}"' in page
