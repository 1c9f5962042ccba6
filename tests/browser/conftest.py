"""Chromium, from the system, for all tests of this directory."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from ..servers import is_required
from ..servers.base import find_program

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def _program() -> str | None:
    return next(filter(None, map(find_program, PROGRAMS)), None)


def missing(program: str | None) -> str | None:
    """Return what a browser test lacks, or None."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed: pip install playwright"
    return None if program else f"none of {', '.join(PROGRAMS)} is installed: apt-get install chromium"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser with nothing in its cache; without one the test is skipped, or fails where it is required."""
    program = _program()
    if reason := missing(program):
        if is_required():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)

    from playwright.sync_api import sync_playwright

    # Chromium's sandbox needs privileges that containers do not give, and does not start for root at all.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 or "CI" in os.environ else []
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield running
        finally:
            running.close()
