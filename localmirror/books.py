"""The staged release as the mirror keeps it until, and after, it is published."""

from __future__ import annotations

import logging

from localmirror.exceptions import LocalMirrorError
from localmirror.local import MirrorDirectory
from localmirror.release import Release

logger = logging.getLogger("localmirror")

STAGED = "staged.json"
_MANIFEST = "staged-manifest"


def write_staged(mirror: MirrorDirectory, release: Release) -> None:
    """Write down that *release* has been staged in *mirror*."""
    if release.manifest is not None:
        mirror.write_state(_MANIFEST, release.manifest)
    else:
        mirror.delete_state(_MANIFEST)
    mirror.write_state(STAGED, release.to_staged())


def read_staged(mirror: MirrorDirectory) -> Release | None:
    """Return the release that was staged last in *mirror*, or None. Raises LocalMirrorError if it is no whole one."""
    data = mirror.read_state(STAGED)
    return Release.from_staged(data, mirror.read_state(_MANIFEST)) if data is not None else None


def staged_before(mirror: MirrorDirectory) -> Release | None:
    """Return the files that were staged last in *mirror*, or None; also if that cannot be read, with a warning."""
    data = mirror.read_state(STAGED)
    try:
        return Release.without_manifest(data) if data is not None else None
    except LocalMirrorError as error:
        logger.warning("Ignoring what was staged before in the mirror %s: %s", mirror.root, error)
        return None
