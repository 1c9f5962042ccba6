"""The tasks of the project; `nox -l` lists them. Each installs what it needs into an environment of its own.

On a machine that has only some of the Python versions the tests run on those, and nox says what it left out.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "types", "tests", "docs", "package"]
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
ROOT = Path(__file__).resolve().parent
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"

# Python and Django: the oldest and the newest pair that are common today, then what lies between and beyond.
MAIN_PAIRS = [("3.11", "5.2"), ("3.13", "6.1")]
OTHER_PAIRS = [("3.12", "5.2"), ("3.12", "6.0"), ("3.13", "6.0"), ("3.14", "6.0"), ("3.14", "6.1")]

# Where tests/servers/azurite.py looks for it.
AZURITE = ROOT / ".cache" / "azurite"


def select_pyenv_versions() -> None:
    """Make every Python that pyenv has installed answer to its name, unless the user has selected some.

    pyenv puts a `python3.13` on the PATH as soon as 3.13 is installed, but it fails until 3.13 is selected.
    """
    root = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    if "PYENV_VERSION" in os.environ or not os.path.isdir(os.path.join(root, "versions")):
        return
    installed = [name for name in os.listdir(os.path.join(root, "versions")) if name.startswith("3.")]
    if installed:
        os.environ["PYENV_VERSION"] = ":".join([*sorted(installed, reverse=True), "system"])


@functools.cache
def interpreter_works(version: str) -> bool:
    """Return whether a Python of this version, such as "3.13", can be started."""
    if version == RUNNING:
        return True
    command = [f"python{version}", "-c", ""]
    try:
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def main_pairs() -> list[tuple[str, str]]:
    """Return the pairs that `nox -s tests` runs: the main ones, or one for the only Python there is."""
    if any(interpreter_works(python) for python, _ in MAIN_PAIRS) or sys.version_info < (3, 11):
        return MAIN_PAIRS
    return [(RUNNING, "6.1")]


select_pyenv_versions()
# A pair whose Python is missing is left out, with a notice; where that would leave nothing it is an error.
nox.options.error_on_missing_interpreters = not any(interpreter_works(python) for python, _ in main_pairs())
# For everything but the tests any supported Python will do; a newer one gets newer tools.
USABLE = [python for python in ("3.13", "3.12", "3.14", "3.11") if interpreter_works(python)]
TOOLS_PYTHON = USABLE[0] if USABLE else "3.13"


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group of pyproject.toml."""
    return list(nox.project.dependency_groups(PYPROJECT, name))


def pair_parameters(pairs: list[tuple[str, str]]) -> list[object]:
    """Return the pairs as nox parameters, each with a short readable id."""
    return [nox.param(python, django, id=f"{python}-django{django}") for python, django in pairs]


def install_azurite(session: nox.Session) -> None:
    """Fetch the Azure emulator with npm, once, where npm exists; without it the tests say what they skip."""
    if (AZURITE / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js").exists():
        return
    if shutil.which("npm") is None:
        session.warn("npm is not installed: the tests against Azurite cannot run.")
        return
    AZURITE.mkdir(parents=True, exist_ok=True)
    quiet = ("--silent", "--no-audit", "--no-fund", "--no-save")
    # A failure here is reported by the tests: skipped, or failed where every server is required.
    command = ("npm", "install", *quiet, "--prefix", str(AZURITE), "azurite@3")
    session.run(*command, external=True, success_codes=range(256))


def run_tests(session: nox.Session, django: str) -> None:
    """Install the package with every extra and run the tests on two processes."""
    session.install("-e", ".[all]", *group("test"), f"Django~={django}.0")
    install_azurite(session)
    session.run("pytest", "-n", "2", "--dist", "worksteal", *session.posargs)


@nox.session
@nox.parametrize("python,django", pair_parameters(main_pairs()))
def tests(session: nox.Session, django: str) -> None:
    """Run the tests on the oldest and the newest supported pair; arguments after -- go to pytest."""
    run_tests(session, django)


@nox.session(name="tests-all")
@nox.parametrize("python,django", pair_parameters(OTHER_PAIRS))
def tests_all(session: nox.Session, django: str) -> None:
    """Run the tests on the remaining pairs of Python and Django."""
    run_tests(session, django)


@nox.session(python=TOOLS_PYTHON)
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff."""
    session.install(*group("lint"))
    session.run("ruff", "check", *session.posargs, ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python=TOOLS_PYTHON)
def types(session: nox.Session) -> None:
    """Check the package's type annotations with mypy, strictly."""
    session.install("-e", ".[all]", *group("types"))
    session.run("mypy", *session.posargs)


@nox.session(python=TOOLS_PYTHON)
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build/html; a warning is an error."""
    session.install("-e", ".[all]", *group("docs"))
    strict = ("-W", "--keep-going", "-b", "html")
    session.run("sphinx-build", *strict, "-d", "docs/_build/doctrees", "docs", "docs/_build/html")


@nox.session(python=TOOLS_PYTHON)
def package(session: nox.Session) -> None:
    """Build wheel and sdist, install each into an empty environment and import it outside the repository."""
    session.install(*group("package"))
    with tempfile.TemporaryDirectory(prefix="localmirror-package-") as folder:
        work = Path(folder).resolve()
        session.run("python", "-m", "build", "--outdir", str(work / "dist"), str(ROOT), silent=True)
        (wheel,) = (work / "dist").glob("*.whl")
        (sdist,) = (work / "dist").glob("*.tar.gz")
        compare_contents(session, wheel, sdist)
        for archive in (wheel, sdist):
            with session.chdir(work):
                install_and_import(session, archive, work / f"from-{archive.suffix[1:]}")


def install_and_import(session: nox.Session, archive: Path, environment: Path) -> None:
    """Install an archive with no extra, with one and with all, and import what must then be importable."""
    python = str(environment / "bin" / "python")
    session.run("virtualenv", "--quiet", str(environment))
    for extra in ("none", "s3", "all"):
        requirement = "django-localmirror" if extra == "none" else f"django-localmirror[{extra}]"
        requirement = f"{requirement} @ {archive.as_uri()}"
        session.run(python, "-m", "pip", "install", "--quiet", requirement, external=True)
        # -I: neither the current directory nor PYTHONPATH may lend the repository's own modules.
        session.run(python, "-I", str(ROOT / "tests" / "installed.py"), extra, external=True)


def compare_contents(session: nox.Session, wheel: Path, sdist: Path) -> None:
    """Fail unless both archives hold every module of the repository: the package list is written by hand."""
    wanted = {
        file.relative_to(ROOT).as_posix()
        for folder in ("localmirror", "backends")
        for file in (ROOT / folder).rglob("*.py")
        if "localmirror/backends" not in file.as_posix()
    }
    with zipfile.ZipFile(wheel) as opened:
        in_wheel = {name.replace("localmirror/backends/", "backends/") for name in opened.namelist()}
    with tarfile.open(sdist) as opened_tar:
        in_sdist = {name.partition("/")[2] for name in opened_tar.getnames()}
    for archive, names in ((wheel, in_wheel), (sdist, in_sdist)):
        if missing := sorted(wanted - names):
            session.error(f"{archive.name} lacks {', '.join(missing)}: complete [tool.setuptools] packages.")


@nox.session(python=TOOLS_PYTHON)
def demo(session: nox.Session) -> None:
    """Deploy a small site to an S3 server on this machine; `-- --serve` keeps it running."""
    session.install("-e", ".[s3,progress]", *group("demo"))
    # Ctrl-C ends --serve: it gets the time to stop its servers and to remove its files.
    session.run("python", "examples/quickstart/demo.py", *session.posargs, interrupt_timeout=5)


@nox.session(python=TOOLS_PYTHON)
def site(session: nox.Session) -> None:
    """Serve examples/compressed_site, from an S3 server on this machine and through a CDN, until Ctrl-C."""
    session.install("-e", ".[s3,compressor,progress]", *group("demo"))
    session.run("python", "examples/compressed_site/run.py", *session.posargs, interrupt_timeout=5)


@nox.session(python=TOOLS_PYTHON)
def bench(session: nox.Session) -> None:
    """Measure against other ways to deploy static files; `-- --quick` takes 3 minutes."""
    session.install("-e", ".[s3,progress]", *group("bench"))
    session.run("python", "tests/bench/run.py", *session.posargs)


@nox.session(python=TOOLS_PYTHON)
def profile(session: nox.Session) -> None:
    """Show where the time of a deployment goes, phase by phase."""
    session.install("-e", ".[s3,progress]", *group("bench"))
    session.run("python", "tests/bench/profile.py", *session.posargs)


@nox.session(python=TOOLS_PYTHON)
def scale(session: nox.Session) -> None:
    """Measure releases of up to 100,000 files, and buckets of up to 10 million objects; `-- --quick` takes less."""
    session.install("-e", ".[s3,progress]", *group("bench"))
    session.run("python", "tests/bench/scale.py", *session.posargs)
