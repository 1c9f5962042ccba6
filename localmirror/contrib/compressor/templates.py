"""Templates as django-compressor's parsers read them, where none that has a block is passed over."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compressor.exceptions import OfflineGenerationError, TemplateDoesNotExist, TemplateSyntaxError

# What Django does not look for tags in; Jinja's comments may be longer than a line.
_IGNORED = re.compile(rb"\{#.*?#\}|(?s:\{%\s*(comment|verbatim)\b.*?%\}.*?\{%\s*end\1\b)")


class WatchedParser:
    """A parser of django-compressor's that notes in *lost* why it could not read a template that has a block.

    django-compressor 4.6.0 goes on with the next template where one cannot be parsed, where its parent is missing or
    is named by a variable: the blocks of that one are in no manifest, and its page fails.
    """

    def __init__(self, parser: Any, loaders: Iterable[Any], lost: dict[str, str]) -> None:
        self._parser = parser
        self._loaders = list(loaders)
        self._lost = lost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def parse(self, template_name: str) -> Any:
        """Return the parsed template. Raises TemplateSyntaxError, which compressor passes over, if it cannot be had."""
        with self._watched(template_name):
            return self._parser.parse(template_name)

    def walk_nodes(self, template: Any, **kwargs: Any) -> list[Any]:
        """Return the blocks of *template*, parents included. Raises as `parse` does."""
        with self._watched(template.template_name):
            return list(self._parser.walk_nodes(template, **kwargs))

    def render_node(self, template: Any, context: Any, node: Any) -> Any:
        """Return what takes the place of a block. Raises OfflineGenerationError with the kind of whatever happens."""
        try:
            return self._parser.render_node(template, context, node)
        except BaseException as error:  # compressor's threads have nobody to tell of one that is no Exception
            raise OfflineGenerationError(reason_of(error)) from error

    @contextmanager
    def _watched(self, template_name: str) -> Iterator[None]:
        try:
            yield
        except (Exception, SystemExit) as error:
            if self._may_have_block(template_name, error):
                self._lost.setdefault(template_name, reason_of(error))
            raise TemplateSyntaxError(reason_of(error)) from error

    def _may_have_block(self, template_name: str, error: BaseException) -> bool:
        try:
            source = self._source(template_name)
        except OSError:
            source = None
        if source is None:  # a link that leads nowhere is no template
            return not isinstance(error, TemplateDoesNotExist)
        environment = getattr(self._parser, "env", None)
        if environment is None:
            return re.search(rb"\{%\s*compress\b", _IGNORED.sub(b"", source)) is not None
        begin, comment, end = (
            re.escape(getattr(environment, name).encode())
            for name in ("block_start_string", "comment_start_string", "comment_end_string")
        )
        source = re.sub(comment + rb".*?" + end, b"", source, flags=re.DOTALL)
        return re.search(begin + rb"[-+]?\s*compress\b", source) is not None

    def _source(self, template_name: str) -> bytes | None:
        if os.path.isabs(str(template_name)):  # as compressor has those of Jinja
            return Path(template_name).read_bytes()
        origins = (origin for loader in self._loaders for origin in loader.get_template_sources(template_name))
        file = next((Path(origin.name) for origin in origins if os.path.isfile(origin.name)), None)
        return None if file is None else file.read_bytes()


def reason_of(error: BaseException) -> str:
    """Return what happened, beginning with the kind of *error*: a message alone may be no more than a name."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
