"""Fixtures of all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .rigs import BY_NAME, RIGS, S3_RIGS, Rig, prepared
from .sdk import share_models
from .servers import stop_shared

share_models()

# A shell that runs the tests in the background has Ctrl-C ignored, and so would have the commands that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=[rig.name for rig in RIGS])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """Every backend in turn, with a fresh bucket."""
    with prepared(BY_NAME[request.param], tmp_path) as ready:
        yield ready


@pytest.fixture(params=[rig.name for rig in S3_RIGS])
def s3(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """The two S3 servers in turn, with a fresh bucket."""
    with prepared(BY_NAME[request.param], tmp_path) as ready:
        yield ready


def pytest_unconfigure() -> None:
    stop_shared()
