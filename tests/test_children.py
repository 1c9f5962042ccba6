"""A forked child is what a new interpreter is: its arguments, environment, streams, modules and end are its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from .children import Result, run_script


def run(directory: Path, code: str, *arguments: str, seconds: float = 60, **environment: str) -> Result:
    script = directory / "script.py"
    script.write_text(code)
    return run_script(script, arguments, {**os.environ, **environment}, seconds=seconds)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("print('out')", Result(0, "out\n", "")),
        ("import sys; sys.exit(3)", Result(3, "", "")),
        ("import sys; sys.exit('why')", Result(1, "", "why\n")),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", Result(-15, "", "")),
        ("import atexit; atexit.register(print, 'last')", Result(0, "last\n", "")),
        ("import sys; print(repr(sys.stdin.read()), file=sys.stderr)", Result(0, "", "''\n")),
        ("import sys; print(__name__, __file__ == sys.path[0] + '/script.py')", Result(0, "__main__ True\n", "")),
        ("import os; print(os.listdir())", Result(0, "['script.py']\n", "")),
    ],
)
def test_ends_as_it_wants_to(tmp_path: Path, code: str, expected: Result) -> None:
    assert run(tmp_path, code) == expected


def test_an_exception_is_printed_and_makes_it_fail(tmp_path: Path) -> None:
    done = run(tmp_path, "raise ValueError('why')")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith("Traceback")
    assert done.stderr.splitlines()[-1] == "ValueError: why"


def test_has_the_arguments_and_the_environment_that_it_is_given(tmp_path: Path) -> None:
    code = "import os, sys; print(sys.argv, os.environ['MINE'], 'DJANGO_SETTINGS_MODULE' in os.environ)"
    done = run_script(_written(tmp_path, code), ["a", "b c"], {"MINE": "ü"})
    assert done.stdout == "['script.py', 'a', 'b c'] ü False\n"


def _written(directory: Path, code: str) -> Path:
    script = directory / "script.py"
    script.write_text(code)
    return script


def test_knows_nothing_of_the_project_yet(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from django.conf import settings\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(names & {'localmirror', 'obstore', 'moto', 'settings'}, 'django' in names, settings.configured)\n"
    )
    assert run(tmp_path, code).stdout == "set() True False\n"


def test_what_one_does_no_other_sees(tmp_path: Path) -> None:
    code = "import json, os, random\nprint(hasattr(json, 'mark'), random.random(), os.getpid())\njson.mark = 1"
    one, two = (run(tmp_path, code).stdout.split() for _ in range(2))
    assert one[0] == two[0] == "False"
    assert one[1] != two[1]
    assert one[2] != two[2]


def test_several_run_at_a_time(tmp_path: Path) -> None:
    """Each waits for a file that the other one writes."""
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "Path(sys.argv[1]).touch()\n"
        "while not Path(sys.argv[2]).exists(): time.sleep(0.01)\n"
    )
    script = _written(tmp_path, code)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(run_script, script, names, os.environ) for names in (["a", "b"], ["b", "a"])]
        assert [future.result().returncode for future in both] == [0, 0]


def test_is_killed_when_it_takes_too_long(tmp_path: Path) -> None:
    code = "import os, time\nfrom pathlib import Path\nPath('pid').write_text(str(os.getpid()))\ntime.sleep(600)"
    with pytest.raises(subprocess.TimeoutExpired):
        run(tmp_path, code, seconds=1)
    child = int((tmp_path / "pid").read_text())
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(child).wait(30)
