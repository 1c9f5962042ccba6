"""compress: what django-compressor's own loses or leaves behind silently ends with a sentence and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..corpus import Project, Result
from ..rigs import S3MotoRig, prepared
from .site import bundles, deploy, make_site, render, write_template

MANIFEST = "CACHE/manifest.json"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[S3MotoRig]:
    with prepared(S3MotoRig, tmp_path) as ready:
        yield ready


@pytest.fixture
def site(rig: S3MotoRig, tmp_path: Path) -> Project:
    """A deployed site."""
    made = make_site(tmp_path / "one", rig)
    deploy(made)
    return made


def assert_failed(result: Result, *words: str) -> None:
    assert result.returncode != 0
    for word in words:
        assert word in result.stderr, result
    assert "Traceback" not in result.stderr


def block(kind: str, *sources: str) -> str:
    tags = {"css": '<link rel="stylesheet" href="{}">', "js": '<script src="{}"></script>'}
    inner = "".join(tags[kind].format(source) for source in sources)
    return f"{{% load compress static %}}{{% compress {kind} %}}{inner}{{% endcompress %}}"


def test_lost_blocks_are_named_and_the_old_manifest_stays(site: Project, rig: S3MotoRig) -> None:
    before = rig.raw_get(MANIFEST)
    # Nothing that collectstatic would let pass: it looks such a reference up itself.
    rig.raw_put("css/bad.css", b"a{b:url(../img/none.png)}")
    lost = {
        # Raised where compressor 4.6.0 asks nobody what became of its threads.
        "a.html": (block("css", "{% static 'css/none.css' %}"), "manifest entry for 'css/none.css'"),
        "deep/b.html": (block("js", "{% static 'js/none.js' %}"), "manifest entry for 'js/none.js'"),
        # Raised where it does.
        "c.html": (block("css", "{{ STATIC_URL }}css/no.css"), "'css/no.css' could not be found in the COMPRESS_ROOT"),
        "d.html": (block("css", "https://example.com/a.css"), "isn't accessible via COMPRESS_URL"),
        "e.html": (block("css", "{{ STATIC_URL }}css/bad.css"), "css/bad.css refers to '../img/none.png'"),
    }
    for name, (template, _) in lost.items():
        write_template(site, name, template)
    with rig.wire.recording() as seen:
        result = site.run("compress")
    assert_failed(result, "5 template(s) could not be compressed. The offline manifest is as it was.")
    lines = result.stderr.splitlines()
    for name, (_, reason) in lost.items():
        assert [line for line in lines if f"rendering {name}: " in line and reason in line], (name, lines)
    assert seen.of("upload") == []
    assert rig.raw_get(MANIFEST) == before
    assert render(site)


def test_a_file_that_cannot_be_uploaded_holds_the_manifest_back(site: Project, rig: S3MotoRig) -> None:
    before = rig.raw_get(MANIFEST)
    for name in bundles(rig.raw_all()):
        rig.raw_delete(name)
    site.corpus.change("css/site.css")
    assert site.run("collectstatic", "--no-input").returncode == 0
    rule = rig.wire.fail(403, code="AccessDenied", method="PUT", name=r"CACHE/css/output\.")
    result = site.run("compress")
    assert_failed(result, "CACHE/css/output.", "AccessDenied", "1 of 4 compressed file(s) could not be uploaded")
    assert rig.server.credentials["aws_secret_access_key"] not in result.stderr
    assert rig.raw_get(MANIFEST) == before
    assert [name for name in bundles(rig.raw_all()) if "plain" in name]  # the others went up
    rule.times = 0
    with rig.wire.recording() as seen:
        assert site.run("compress").returncode == 0
    assert [name.partition(".")[0] for name in seen.names("upload")] == ["CACHE/css/output", "CACHE/manifest"]
    assert render(site)


def test_a_manifest_that_cannot_be_written_is_said_in_one_sentence(site: Project, rig: S3MotoRig) -> None:
    write_template(site, "more.html", block("js", "{% static 'js/lib/util.js' %}"))
    rig.wire.fail(403, code="AccessDenied", method="PUT", name=r"manifest\.json$")
    assert_failed(site.run("compress"), "The offline manifest could not be written to S3Static", "AccessDenied")


@pytest.mark.parametrize(("kind", "reason"), [("LIST", "Cannot list what is in"), ("PUT", "could not be uploaded")])
def test_wrong_credentials_are_one_sentence_and_no_secret(
    site: Project, rig: S3MotoRig, kind: str, reason: str
) -> None:
    for name in rig.raw_list():
        if name.startswith("CACHE/"):
            rig.raw_delete(name)
    rig.wire.fail(403, code="InvalidAccessKeyId", kind=kind)
    result = site.run("compress")
    assert_failed(result, reason, rig.bucket)
    assert rig.server.credentials["aws_secret_access_key"] not in result.stderr


def test_templates_without_a_block(site: Project) -> None:
    (site.directory / "templates" / "page.html").unlink()
    write_template(site, "empty.html", "nothing here")
    assert_failed(site.run("compress"), "No 'compress' template tags found")


def test_offline_compression_that_is_off(site: Project) -> None:
    site.settings["COMPRESS_OFFLINE"] = False
    site.write()
    assert_failed(site.run("compress"), "Offline compression is disabled")


def test_it_says_what_it_did(site: Project, rig: S3MotoRig) -> None:
    assert site.run("compress").last_line == "4 compressed files: 0 uploaded (0 B), 4 already there."
    write_template(site, "more.html", block("js", "{% static 'js/lib/util.js' %}"))
    assert site.run("compress").last_line.startswith("5 compressed files: 1 uploaded (")
    assert site.run("compress", "-v0").stdout == ""


def test_system_checks_run_before_anything_else(site: Project, rig: S3MotoRig) -> None:
    site.settings["STORAGES"]["compressor"]["BACKEND"] = rig.backend("manifest")
    site.write()
    with rig.wire.recording() as seen:
        result = site.run("compress")
    assert_failed(result, "localmirror.E102")
    assert seen.counts() == {}


def test_a_storage_without_a_mirror_loses_no_block_either(rig: S3MotoRig, tmp_path: Path) -> None:
    """django-compressor's own storages, with its own settings: what it does is what it did, and errors count."""
    site = make_site(tmp_path / "one", rig)
    site.settings["STORAGES"] = {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}
    }
    site.settings["STATIC_URL"] = "/static/"
    site.write()
    with rig.wire.recording() as seen:
        assert site.run("collectstatic", "--no-input").returncode == 0
        assert site.run("compress").returncode == 0
        assert "/static/CACHE/css/output." in render(site)
        write_template(site, "broken.html", block("css", "{% static 'css/none.css' %}"))
        assert_failed(site.run("compress"), "broken.html", "css/none.css")
    assert seen.counts() == {}


def test_several_template_engines_share_one_listing(site: Project, rig: S3MotoRig) -> None:
    site.settings["TEMPLATES"].append(
        {
            "BACKEND": "django.template.backends.jinja2.Jinja2",
            "DIRS": [str(site.directory / "jinja2")],
            "OPTIONS": {
                "extensions": ["compressor.contrib.jinja2ext.CompressorExtension"],
                "environment": "environment.environment",
            },
        }
    )
    site.write()
    (site.directory / "environment.py").write_text(
        "from django.templatetags.static import static\n"
        "from jinja2 import Environment\n"
        "def environment(**options):\n"
        "    made = Environment(**options)\n"
        "    made.globals['static'] = static\n"
        "    return made\n"
    )
    (site.directory / "jinja2").mkdir()
    page = site.directory / "jinja2" / "page.html"
    page.write_text('{% compress js %}<script src="{{ static("js/lib/util.js") }}"></script>{% endcompress %}')
    with rig.wire.recording() as seen:
        result = site.run("compress", "--engine", "django", "--engine", "jinja2")
    assert result.returncode == 0, result
    assert seen.counts()["LIST"] == 1
    assert len(bundles(rig.raw_all(), "js")) == 3
    page.write_text('{% compress js %}<script src="{{ static("js/none.js") }}"></script>{% endcompress %}')
    assert_failed(site.run("compress", "--engine", "jinja2"), "page.html", "js/none.js")


def test_the_old_way_through_django_compressor_alone_would_have_lost_the_block(site: Project, rig: S3MotoRig) -> None:
    """What this command is for: should compressor mend it one day, this test says so."""
    site.settings["INSTALLED_APPS"] = [
        app for app in site.settings["INSTALLED_APPS"] if "contrib.compressor" not in app
    ]
    site.write()
    write_template(site, "page.html", block("css", "{% static 'css/none.css' %}"))
    result = site.run("compress")
    assert result.returncode == 0
    assert rig.raw_get(MANIFEST) == b"{}"
