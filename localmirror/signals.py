"""Signals for projects that act when a release goes live, to tell a CDN for instance."""

from __future__ import annotations

from django.dispatch import Signal

#: Sent when a release has become public, after its manifest. Arguments: *sender*, the class of the storage;
#: *storage*; *release*, a `localmirror.release.Release`.
release_published = Signal()
