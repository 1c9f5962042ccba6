"""The storage of the variants that hash with django-manifeststaticfiles-enhanced, as a project would write it."""

from __future__ import annotations

from django_manifeststaticfiles_enhanced.storage import EnhancedManifestFilesMixin
from storages.backends.s3 import S3StaticStorage

from localmirror.mirror import LocalMirrorMixin
from localmirror.roles import StaticMirrorMixin


class MirroredEnhancedStorage(EnhancedManifestFilesMixin, StaticMirrorMixin, LocalMirrorMixin, S3StaticStorage):
    """Faster hashing than Django's, mirrored on S3."""
