"""What the documentation lists by name is what the code has, no more and no less."""

from __future__ import annotations

import re

from localmirror.conf import OPTIONS

from .readme import ROOT


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.rst").read_text(encoding="utf-8")


def test_every_check_has_an_anchor_in_the_documentation() -> None:
    sources = [file.read_text(encoding="utf-8") for file in (ROOT / "localmirror").rglob("checks*.py")]
    ids = {found for source in sources for found in re.findall(r"localmirror(?:_\w+)?\.[EW]\d{3}", source)}
    assert ids, "no check ids found in localmirror/checks.py"
    assert set(re.findall(r"^\.\. _([\w.]+):$", page("checks"), re.MULTILINE)) == ids


def test_every_option_is_documented_with_its_default() -> None:
    rows = dict(re.findall(r"^   \* - `(mirror_\w+)`\n     - (.+)$", page("options"), re.MULTILINE))
    assert set(rows) == set(OPTIONS)
    for name, default in OPTIONS.items():
        if name != "mirror_location":  # whose default depends on the role
            assert rows[name].strip('`"') == str(default), name
