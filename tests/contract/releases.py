"""Publishing some files as a release, without a project and its commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.files.base import ContentFile

from localmirror.offline import offline
from localmirror.publish import Publish
from localmirror.release import Release


def stage_files(storage: Any, files: Mapping[str, bytes]) -> Release:
    """Stage *files* in the mirror and return the release that they are."""
    with offline(), storage.staging() as staging:
        for name, content in files.items():
            storage.save(name, ContentFile(content))
            staging.found(name)
        release: Release = staging.release()
        staging.commit(release)
    return release


def publish_files(storage: Any, files: Mapping[str, bytes]) -> set[str]:
    """Stage *files*, publish them, and return the names that had to be uploaded."""
    results = list(Publish(storage).results(stage_files(storage, files)))
    assert {result.name: result.error for result in results if result.error} == {}
    return {result.name for result in results if result.status == "uploaded"}
