"""Errors of localmirror: one base class, mixed with the builtin that a caller would catch."""

from __future__ import annotations


class LocalMirrorError(Exception):
    """Base of every error that localmirror raises on its own account."""


class PublishError(LocalMirrorError, OSError):
    """A release could not be made public; what was public before still is."""


class ReleaseConflictError(PublishError):
    """Another release went live between the start of a publish and its last step."""


class ChangedSinceStagedError(PublishError):
    """A file of the staged release no longer holds the bytes that were staged."""


class NothingStagedError(LocalMirrorError, FileNotFoundError):
    """There is no staged release in the mirror that could be published."""


class StagingInProgressError(LocalMirrorError, BlockingIOError):
    """Somebody else is staging into, or publishing from, the same mirror directory."""


class ReleaseNotPublishedError(LocalMirrorError, LookupError):
    """The release that this process is pinned to is not on the remote."""


class OfflineError(LocalMirrorError, ConnectionError):
    """Something had to ask or change the remote inside ``localmirror.offline()``."""
