"""The tables of docs/backends/index.rst, which the contract is checked against."""

from __future__ import annotations

import re

from ..readme import ROOT

PAGE = ROOT / "docs" / "backends" / "index.rst"


def table(title: str) -> dict[str, dict[str, str]]:
    """Return the rows of the first table below *title* by their first cell: each a dict of cells by column."""
    _, _, below = PAGE.read_text(encoding="utf-8").partition(f"\n{title}\n{'-' * len(title)}\n")
    assert below, f"{PAGE} has no section {title!r}"
    block = re.search(r"^\.\. list-table::\n(.*?)\n(?=\S)", below, re.MULTILINE | re.DOTALL)
    assert block, f"the section {title!r} has no table"
    rows = [_cells(row) for row in re.split(r"^   \* - ?", block[1], flags=re.MULTILINE)[1:]]
    header, *rest = rows
    return {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rest}


def _cells(row: str) -> list[str]:
    cells = re.split(r"^     - ?", row, flags=re.MULTILINE)
    return [" ".join(cell.replace("*", "").split()) for cell in cells]
