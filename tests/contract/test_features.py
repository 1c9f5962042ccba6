"""What the storage classes say of themselves is what the servers show, and what the documentation's matrix tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile

from localmirror.remote import RemoteSeam

from ..rigs import RIGS, ROLES, Rig, prepared
from .halves import both, hashed
from .tables import table

TITLE = "What each can do"
COLUMNS = {
    "s3": "S3",
    "gcloud": "Google Cloud",
    "azure": "Azure",
    "libcloud": "libcloud",
    "generic": "any other",
}
#: The rows of the matrix, and how a storage answers for each.
ROWS: dict[str, Callable[[Any], bool]] = {
    "the listing takes one request for a thousand files": lambda storage: storage.listing_is_flat,
    "the listing tells whether a file is current": lambda storage: storage.listing_tells_content,
    "the listing is sorted, so other people's files are skipped": lambda storage: storage.listing_is_sorted,
    "headers are stored with a file": lambda storage: storage.carries_headers,
    "the manifest is replaced on a condition": lambda storage: storage.writes_on_condition,
    "files can be compressed on the remote (`gzip`)": lambda storage: hasattr(storage, "gzip"),
    "files go up by the fast engine": lambda storage: type(storage).bulk_engine is not RemoteSeam.bulk_engine,
    "files go up in parallel": lambda storage: storage.mirror_workers > 1,
}


def test_a_rig_and_its_storage_agree(rig: Rig) -> None:
    storage = rig.storage("manifest")

    # What a server keeps, a storage must use.
    assert storage.carries_headers is rig.headers
    assert storage.listing_is_flat is rig.flat_listing
    assert storage.listing_tells_content is rig.md5_in_listing
    assert hasattr(storage, "gzip") is rig.gzip
    assert storage.writes_on_condition or not rig.conditional_write


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_a_class(rig: Rig, role: str) -> None:
    storage = rig.storage(role)
    name = hashed("a.css", b"a{}")

    assert storage._save(name, ContentFile(b"a{}")) == name

    assert both(rig) == {name: b"a{}"}


def test_the_matrix_of_the_documentation_is_what_the_classes_say(tmp_path: Path) -> None:
    answers: dict[str, dict[str, set[bool]]] = {row: {} for row in ROWS}
    for number, rig_class in enumerate(RIGS):
        with prepared(rig_class, tmp_path / str(number)) as rig:
            storage = rig.storage("manifest")
            for row, answer in ROWS.items():
                answers[row].setdefault(COLUMNS[rig.module], set()).add(bool(answer(storage)))

    words = {frozenset({True}): "yes", frozenset({False}): "–", frozenset({True, False}): "some"}
    assert table(TITLE) == {
        row: {column: words[frozenset(found)] for column, found in columns.items()} for row, columns in answers.items()
    }
