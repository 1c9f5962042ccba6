"""README.md taken apart: its fenced blocks, each with the name that the comment above it gives."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LABEL = re.compile(r"<!-- (?:block|command): ([\w-]+) -->\n\Z")


@dataclass(frozen=True)
class Block:
    """One fenced block: its name (None without the comment), its language and its text."""

    name: str | None
    language: str
    text: str


def blocks() -> list[Block]:
    """Return the fenced blocks of README.md in their order."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        label = _LABEL.search(text, 0, fence.start())
        found.append(Block(label and label[1], fence[1], fence[2]))
    return found
