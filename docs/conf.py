"""Sphinx configuration."""

import os
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
# The reference is read from docstrings: the modules are imported, and for that Django must be set up.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django  # noqa: E402

django.setup()

with (ROOT / "pyproject.toml").open("rb") as file:
    release = version = tomllib.load(file)["project"]["version"]

project = "django-localmirror"
author = "django-localmirror contributors"
copyright = "django-localmirror contributors, MIT licence"

extensions = ["sphinx.ext.autodoc", "myst_parser"]
exclude_patterns = ["_build", "benchmark/**.md"]
nitpicky = False
# The tables of the benchmark are included below headings of a page, and begin where these leave off.
suppress_warnings = ["myst.header"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
# Docstrings use single backquotes for names in code.
default_role = "code"

html_theme = "furo"
html_title = f"django-localmirror {release}"
html_copy_source = False
