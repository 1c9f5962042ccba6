"""What the commands do to the process they run in."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import load_command_class

from .corpus import Project
from .deploying import deploy, succeeded
from .rigs import Rig


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("name", ["collectstatic", "localmirror"])
def test_a_command_line_is_spared_collecting_garbage(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load_command_class("localmirror", name).run_from_argv(["manage.py", name, "--help"])

    assert gc.get_freeze_count() > 10_000


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_a_program_that_calls_a_command_is_left_alone(rig: Rig, tmp_path: Path) -> None:
    succeeded(deploy(rig, Project.make(tmp_path, rig)))

    assert gc.get_freeze_count() == 0
