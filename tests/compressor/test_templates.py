"""Templates whose blocks django-compressor would pass over: each is named, with what kept it from being read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..corpus import Project, Result
from ..rigs import S3MotoRig, prepared
from .site import deploy, make_site, mirror_of, render, write_template
from .test_command import MANIFEST, assert_failed

LOAD = "{% load compress static %}"
OPEN = f'{LOAD}{{% compress css %}}<link rel="stylesheet" href="{{% static \'css/theme/dark.css\' %}}">'
BLOCK = f"{OPEN}{{% endcompress %}}"

TAGS = """
import sys
from django import template
register = template.Library()
@register.simple_tag
def quit_(code): sys.exit(code)
@register.simple_tag
def interrupt(): raise KeyboardInterrupt
@register.simple_tag
def fail(): raise ZeroDivisionError("kaboom")
@register.tag
def unparsable(parser, token): raise LookupError("no such thing")
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3MotoRig]:
    with prepared(S3MotoRig, tmp_path_factory.mktemp("templates")) as ready:
        yield ready


@pytest.fixture(scope="module")
def deployed(rig: S3MotoRig) -> Project:
    site = make_site(rig.directory / "one", rig)
    (site.directory / "quitting.py").write_text(TAGS)
    site.settings["TEMPLATES"][0]["OPTIONS"] = {"builtins": ["quitting"]}
    site.write()
    deploy(site)
    return site


@pytest.fixture
def site(deployed: Project) -> Iterator[Project]:
    templates = deployed.directory / "templates"
    before = set(templates.iterdir())
    yield deployed
    for file in set(templates.iterdir()) - before:
        file.unlink()


def compress(site: Project, rig: S3MotoRig, *arguments: str) -> Result:
    """Run the command, which is to fail, and see that nothing has been published."""
    before = rig.raw_all()
    result = site.run("compress", *arguments)
    assert_failed(result, "1 template(s) could not be compressed. The offline manifest is as it was.")
    assert rig.raw_all() == before
    return result


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        ("{% quit_ 'precompiler not found' %}", "SystemExit: precompiler not found"),
        ("{% quit_ 0 %}", "SystemExit: 0"),
        ("{% interrupt %}", "KeyboardInterrupt"),
        ("{% fail %}", "ZeroDivisionError: kaboom"),
        ("{% include 'none.html' %}", "TemplateDoesNotExist: none.html"),
    ],
)
def test_what_happens_inside_a_block_is_named_with_its_kind(
    site: Project, rig: S3MotoRig, inside: str, reason: str
) -> None:
    write_template(site, "bad.html", f"{OPEN}{inside}{{% endcompress %}}")
    lines = compress(site, rig).stderr.splitlines()
    assert f"An error occurred during rendering bad.html: {reason}" in lines


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (f"{OPEN}{{% nosuchtag %}}{{% endcompress %}}", "'nosuchtag'"),
        (OPEN, "TemplateSyntaxError: "),
        (f"{BLOCK}{{% unparsable %}}", "LookupError: no such thing"),
        (f"{{% extends 'none.html' %}}{{% block a %}}{BLOCK}{{% endblock %}}", "TemplateDoesNotExist: none.html"),
        (f"{{% extends layout %}}{{% block a %}}{BLOCK}{{% endblock %}}", "'layout' variable"),
        ("{% extends 'broken.html' %}{% block a %}" + BLOCK + "{% endblock %}", "TemplateSyntaxError: "),
    ],
)
def test_a_template_with_a_block_that_cannot_be_read_is_named(
    site: Project, rig: S3MotoRig, template: str, reason: str
) -> None:
    write_template(site, "broken.html", "{% if %}")
    write_template(site, "bad.html", template)
    result = compress(site, rig, "-v0")
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("bad.html cannot be read: ")]
    assert reason in line
    assert result.stdout == ""


def test_a_template_in_another_encoding(site: Project, rig: S3MotoRig) -> None:
    (site.directory / "templates" / "bad.html").write_bytes(f"{BLOCK}é".encode("latin-1"))
    assert "bad.html cannot be read: UnicodeDecodeError: " in compress(site, rig).stderr


def test_a_parent_that_a_variable_names_may_be_given(site: Project, rig: S3MotoRig) -> None:
    write_template(site, "layout.html", "{% block a %}{% endblock %}")
    write_template(site, "child.html", f"{{% extends layout %}}{{% block a %}}{BLOCK}{{% endblock %}}")
    site.settings["COMPRESS_OFFLINE_CONTEXT"] = [{"layout": "layout.html", "STATIC_URL": site.settings["STATIC_URL"]}]
    site.write()
    try:
        done = site.run("compress")
    finally:
        del site.settings["COMPRESS_OFFLINE_CONTEXT"]
        site.write()
    assert done.returncode == 0, done


@pytest.mark.parametrize(
    "template",
    [
        "{% extends layout %}{% block a %}other people's{% endblock %}",
        "{% extends 'none.html' %}",
        "{% if %}",
        "{% unparsable %}",
        "{% extends layout %}{# {% compress css %} #}{% block a %}{% endblock %}",
        "{% extends layout %}{% comment %}\n{% compress css %}{% endcompress %}\n{% endcomment %}",
    ],
)
def test_a_template_without_a_block_is_nobodys_concern(site: Project, rig: S3MotoRig, template: str) -> None:
    write_template(site, "other.html", template)
    done = site.run("compress")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert render(site)
    assert (mirror_of(site) / MANIFEST).read_bytes() == rig.raw_get(MANIFEST)


def test_a_link_that_leads_nowhere_is_no_template(site: Project, rig: S3MotoRig) -> None:
    (site.directory / "templates" / "gone.html").symlink_to("nowhere")
    assert site.run("compress").returncode == 0


def test_templates_of_jinja(site: Project, rig: S3MotoRig) -> None:
    directory = Path(site.directory) / "jinja2"
    directory.mkdir()
    (site.directory / "environment.py").write_text(
        "from compressor.contrib.jinja2ext import CompressorExtension\n"
        "from jinja2 import Environment, FileSystemLoader\n"
        "def get():\n"
        f"    loader = FileSystemLoader({str(directory)!r})\n"
        "    return Environment(loader=loader, extensions=[CompressorExtension], block_start_string='<%',\n"
        "                       block_end_string='%>')\n"
    )
    jinja = "\ndef COMPRESS_JINJA2_GET_ENVIRONMENT():\n    import environment\n    return environment.get()\n"
    settings = site.directory / "settings.py"
    before = settings.read_text()
    settings.write_text(before + jinja)
    (directory / "good.html").write_text("<% compress 'css' %><style>a{b:c}</style><% endcompress %>")
    (directory / "other.html").write_text("<% if %>{#\n<% compress 'css' %>\n#}")
    try:
        assert site.run("compress", "--engine", "django", "--engine", "jinja2").returncode == 0
        (directory / "bad.html").write_text("<%- compress 'css' %><% if %><% endcompress %>")
        result = compress(site, rig, "--engine", "django", "--engine", "jinja2")
    finally:
        settings.write_text(before)
    assert f"{directory / 'bad.html'} cannot be read: TemplateSyntaxError: " in result.stderr
