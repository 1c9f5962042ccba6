"""A small tree of static files, and a throw-away Django project that deploys it.

project = Project.make(tmp_path, rig, role="manifest")
result = project.run("collectstatic", "--no-input")      # a process of its own: exit code, output, errors
assert result.returncode == 0, result
output = project.call("collectstatic", interactive=False)  # the same in this process
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from unittest import mock

from .children import REPOSITORY, SECONDS, Result, run_script
from .rigs import Rig


def _noise(size: int, seed: str) -> bytes:
    """Return bytes that do not compress and are the same in every run."""
    return hashlib.shake_256(seed.encode()).digest(size)


#: What a site's static files look like: references in every form that Django's hashing rewrites, and some
#: that it must leave alone.
FILES: dict[str, bytes] = {
    "css/base.css": b"body { margin: 0; background: url(../img/logo.png) no-repeat }\n",
    "css/site.css": (
        b"@import \"base.css\";\n@import url('theme/dark.css');\n"
        b"@font-face { font-family: Icons; src: url('../fonts/icons.woff2?v=1#iefix') format('woff2') }\n"
        b'.logo { background: url("../img/logo.png") }\n'
        b".icon { background: url(../img/icon.svg#part) }\n"
        b".leaf { background: url('../img/gr%C3%BCn%20blatt.svg') }\n"
        b".dot { background: url(data:image/gif;base64,R0lGODlhAQABAAAAACw=) }\n"
        b".far { background: url(https://example.com/far.png) }\n"
        b"/*# sourceMappingURL=site.css.map */\n"
    ),
    "css/site.css.map": b'{"version":3,"file":"site.css","sources":["site.scss"],"mappings":"AAAA"}',
    "css/theme/dark.css": b"@import url(../base.css);\nbody { background: url(../../img/deep/night.jpg) }\n",
    "fonts/icons.woff2": b"wOF2" + _noise(4000, "icons"),
    "img/deep/night.jpg": b"\xff\xd8\xff" + _noise(9000, "night"),
    "img/grün blatt.svg": "<svg xmlns='http://www.w3.org/2000/svg'><title>grün</title></svg>".encode(),
    "img/icon.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><g id='part'/></svg>",
    "img/logo.png": b"\x89PNG\r\n\x1a\n" + _noise(2000, "logo"),
    "js/app.js": b"import { hello } from './lib/util.js';\nhello();\n//# sourceMappingURL=app.js.map\n",
    "js/app.js.map": b'{"version":3,"file":"app.js","sources":["app.ts"],"mappings":"AAAA"}',
    "js/lib/util.js": b"export function hello() { document.title = 'hello'; }\n",
    "empty.txt": b"",
    "robots.txt": b"User-agent: *\nDisallow:\n",
    "пример/☃.txt": "снег\n".encode(),
}


class Corpus:
    """A directory of static files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @classmethod
    def make(cls, directory: Path, *, files: Mapping[str, bytes] = FILES, more: int = 0) -> Self:
        """Write ``files`` into a directory, and ``more`` small files below ``more/``."""
        corpus = cls(directory)
        for name, content in files.items():
            corpus.write(name, content)
        for number in range(more):
            corpus.write(f"more/{number:05}.txt", f"file {number}\n".encode())
        return corpus

    def write(self, name: str, content: bytes) -> Path:
        """Write a file, making its directories, and return its path."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def change(self, name: str) -> bytes:
        """Add a line to a file, ten seconds younger than it was, and return its bytes."""
        path = self.directory / name
        before = path.stat().st_mtime
        content = path.read_bytes() + b"\n/* changed */\n"
        path.write_bytes(content)
        os.utime(path, (before + 10, before + 10))
        return content

    def remove(self, name: str) -> None:
        (self.directory / name).unlink()

    def names(self) -> list[str]:
        """Return the names of all files, sorted."""
        found = (path for path in self.directory.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.directory).as_posix() for path in found)

    def contents(self) -> dict[str, bytes]:
        return {name: (self.directory / name).read_bytes() for name in self.names()}


class Project:
    """A Django project in a directory: ``settings.py``, ``manage.py`` and ``static/``.

    ``settings`` are plain data, which ``repr`` can write down; change them and call ``write()``.
    ``environment`` is added to that of the commands, ``prelude`` are the first lines of the settings module.
    """

    def __init__(
        self,
        directory: Path,
        settings: dict[str, Any],
        *,
        environment: dict[str, str] | None = None,
        prelude: list[str] | None = None,
    ) -> None:
        self.directory = directory
        self.settings = {
            "SECRET_KEY": "only for tests",
            "ALLOWED_HOSTS": ["*"],
            "INSTALLED_APPS": ["localmirror", "django.contrib.staticfiles"],
            "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
            "TEMPLATES": [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
            "STATIC_URL": "/static/",
            "STATICFILES_DIRS": [str(directory / "static")],
            "USE_TZ": True,
            **settings,
        }
        self.environment = dict(environment or {})
        self.prelude = list(prelude or [])
        self.write()

    @classmethod
    def make(
        cls,
        directory: Path,
        rig: Rig,
        *,
        role: str = "manifest",
        settings: dict[str, Any] | None = None,
        files: Mapping[str, bytes] = FILES,
        more: int = 0,
        **options: Any,
    ) -> Self:
        """Return a project below ``directory`` with the corpus as static files and the rig as their remote.

        ``options`` go to the storage, ``settings`` over those of the project, ``files`` and ``more`` to the corpus.
        """
        home = directory / "project"
        storages = {
            "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
            "staticfiles": rig.settings_for(role, **options),
        }
        words = {"STORAGES": storages, "STATIC_ROOT": str(rig.mirror), **rig.settings, **(settings or {})}
        Corpus.make(home / "static", files=files, more=more)
        return cls(home, words, environment=rig.environment, prelude=rig.prelude)

    @property
    def corpus(self) -> Corpus:
        return Corpus(self.directory / "static")

    def set_options(self, alias: str = "staticfiles", **options: Any) -> None:
        """Change options of a storage and write the settings module again."""
        self.settings["STORAGES"][alias]["OPTIONS"].update(options)
        self.write()

    def write(self) -> None:
        """Write ``settings.py`` and ``manage.py``."""
        lines = [*self.prelude, *(f"{name} = {value!r}" for name, value in self.settings.items())]
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "settings.py").write_text("\n".join(lines) + "\n")
        (self.directory / "manage.py").write_text(
            "import os, sys\n"
            "from django.core.management import execute_from_command_line\n"
            'os.environ["DJANGO_SETTINGS_MODULE"] = "settings"\n'
            "execute_from_command_line(sys.argv)\n"
        )

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start ``manage.py`` in a process of its own and return at once; the caller ends it."""
        return self._start("manage.py", arguments, environment)

    def _start(self, script: str, arguments: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, script, *arguments],
            cwd=self.directory,
            env=self._environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(REPOSITORY), **self.environment, **more}

    def _run(
        self, script: str, arguments: Sequence[str], seconds: float, fresh: bool, environment: dict[str, str]
    ) -> Result:
        if not fresh:
            return run_script(self.directory / script, arguments, self._environment(environment), seconds=seconds)
        with self._start(script, arguments, environment) as process:
            try:
                stdout, stderr = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Result(process.returncode, stdout, stderr)

    def run(self, *arguments: str, seconds: float = SECONDS, fresh: bool = False, **environment: str) -> Result:
        """Run ``manage.py`` in a process of its own, as a user does, for at most ``seconds``.

        ``fresh`` starts a new interpreter: for what looks at its modules or its memory (see ``tests.children``).
        """
        return self._run("manage.py", arguments, seconds, fresh, environment)

    def python(self, code: str, *, seconds: float = SECONDS, fresh: bool = False, **environment: str) -> Result:
        """Run Python code in a process of its own, with Django set up for this project."""
        prologue = "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'settings'\nimport django\ndjango.setup()\n"
        (self.directory / "script.py").write_text(prologue + code)
        return self._run("script.py", (), seconds, fresh, environment)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Have this project's settings in force in this process."""
        from django.contrib.staticfiles.finders import get_finder
        from django.test import override_settings

        # What cannot change while Django runs: its own tests leave it alone too.
        fixed = {"DATABASES", "SECRET_KEY"}
        words = {name: value for name, value in self.settings.items() if name not in fixed}
        with override_settings(**words), mock.patch.dict(os.environ, self.environment):
            get_finder.cache_clear()
            try:
                yield
            finally:
                get_finder.cache_clear()

    def call(self, command: str, *arguments: str, **options: Any) -> str:
        """Run a management command in this process and return what it has written."""
        from django.core.management import call_command

        output = io.StringIO()
        with self.active():
            call_command(command, *arguments, stdout=output, stderr=output, **options)
        return output.getvalue()

    def storage(self, alias: str = "staticfiles") -> Any:
        """Return a new storage of this project, in this process."""
        from django.utils.module_loading import import_string

        entry = self.settings["STORAGES"][alias]
        with self.active():
            return import_string(entry["BACKEND"])(**entry.get("OPTIONS", {}))
