"""Run ``manage.py`` and write down how long each phase of a deployment took, and who used the processor meanwhile.

``python phases.py RESULT STARTED manage.py collectstatic …``: STARTED is when the process was begun, in seconds since
the epoch. RESULT becomes a list of ``[phase, seconds, CPU seconds of the main thread, CPU seconds of all others]``.
"""

from __future__ import annotations

import functools
import json
import os
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_marks: list[tuple[str, float, float, float]] = []


def mark(phase: str) -> None:
    """Tell that *phase* begins; in the main thread."""
    mine = time.thread_time()
    _marks.append((phase, time.time(), mine, time.process_time() - mine))


def marking(owner: Any, name: str, phase: str, then: str | None = None) -> None:
    """Let *phase* begin when the function *name* of *owner* is called, and *then* another one when it returns."""
    original: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(original)
    def marked(*args: Any, **kwargs: Any) -> Any:
        mark(phase)
        result = original(*args, **kwargs)
        if then is not None:
            mark(then)
        return result

    setattr(owner, name, marked)


def main() -> None:
    result, started, script = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    del sys.argv[:3]
    sys.path[0] = str(Path(script).parent)
    _marks.append(("start", started, 0.0, 0.0))
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"  # which manage.py would say too late
    from localmirror import publish
    from localmirror.management.commands import collectstatic
    from localmirror.staging import Staging

    marking(collectstatic.Command, "handle", "collect")
    marking(Staging, "begin_post_processing", "hash")
    marking(Staging, "release", "write down what was staged")
    marking(collectstatic.Command, "_publish", "wait for the last uploads")
    marking(publish, "go_live", "record and manifest", "end")
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        mark("")
        phases = [
            [phase, then[1] - begun, then[2] - mine, then[3] - others]
            for (phase, begun, mine, others), then in zip(_marks, _marks[1:], strict=False)
        ]
        result.write_text(json.dumps(phases))


if __name__ == "__main__":
    main()
