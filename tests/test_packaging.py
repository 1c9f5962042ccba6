"""The core stands alone: importing it loads no SDK and no adapter, and its modules name none."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .readme import ROOT

#: What only adapters, contrib apps and management commands' helpers may import.
FORBIDDEN = (
    "azure",
    "backends",
    "boto3",
    "botocore",
    "compressor",
    "google",
    "libcloud",
    "localmirror.backends",
    "obstore",
    "paramiko",
    "s3transfer",
    "storages.backends",
)

CORE = sorted(
    file
    for file in (ROOT / "localmirror").rglob("*.py")
    if not {"backends", "contrib"} & set(file.relative_to(ROOT / "localmirror").parts)
)


def is_forbidden(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in FORBIDDEN)


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_name(file: Path) -> str:
    return module_name(file) if file.name == "__init__.py" else module_name(file).rpartition(".")[0]


def imports_in(source: str, package: str) -> Iterator[str]:
    """Yield every module that source code of a package imports, also inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            yield from (argument.value for argument in node.args if isinstance(argument, ast.Constant))


def loaded_after(code: str, cwd: Path) -> set[str]:
    """Return the names of the modules that a new Python has loaded after running some code."""
    program = f"{code}\nimport sys\nprint(*sorted(sys.modules), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=cwd, capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_no_sdk_and_no_adapter() -> None:
    loaded = loaded_after("import localmirror", ROOT)
    assert "localmirror" in loaded
    # `google` is a namespace that other distributions share; its cloud part is what counts.
    assert {name for name in loaded if is_forbidden(name)} - {"google"} == set()


@pytest.mark.parametrize("name", [module_name(file) for file in CORE])
def test_importing_any_core_module_loads_no_sdk_and_no_adapter(name: str) -> None:
    setup = "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'; django.setup()"
    loaded = loaded_after(f"{setup}; import {name}", ROOT)
    assert name in loaded
    assert {module for module in loaded if is_forbidden(module)} - {"google"} == set()


@pytest.mark.parametrize("file", CORE, ids=module_name)
def test_no_core_module_imports_an_sdk_or_an_adapter(file: Path) -> None:
    found = imports_in(file.read_text(encoding="utf-8"), package_name(file))
    assert [module for module in found if is_forbidden(module)] == []


def test_the_reader_of_imports_sees_every_form() -> None:
    source = """
import boto3.session
def f():
    from .backends import s3
    from . import backends
    importlib.import_module("storages.backends.s3")
"""
    found = {module for module in imports_in(source, "localmirror") if is_forbidden(module)}
    assert found == {
        "boto3.session",
        "localmirror.backends",
        "localmirror.backends.s3",
        "storages.backends.s3",
    }


def test_the_adapters_cannot_be_imported_as_a_top_level_package() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import backends"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ImportError" in done.stderr
    assert "localmirror.backends" in done.stderr


def test_the_link_to_the_adapters_is_relative_and_whole() -> None:
    link = ROOT / "localmirror" / "backends"
    assert link.is_symlink()
    assert link.readlink() == Path("../backends")
    assert (link / "__init__.py").samefile(ROOT / "backends" / "__init__.py")


@pytest.mark.parametrize(
    ("folder", "limit"),
    [("localmirror", 400), ("backends", 150)],
)
def test_modules_stay_short(folder: str, limit: int) -> None:
    files = CORE if folder == "localmirror" else sorted((ROOT / folder).rglob("*.py"))
    lengths = {file.name: len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert {name: length for name, length in lengths.items() if length > limit} == {}
