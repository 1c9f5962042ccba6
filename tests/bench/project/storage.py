"""The storage of the variants that hash with django-manifeststaticfiles-enhanced, as a project would write it."""

from __future__ import annotations

from django_manifeststaticfiles_enhanced.storage import EnhancedManifestFilesMixin

from localmirror.backends.s3 import MirroredS3StaticStorage


class MirroredEnhancedStorage(EnhancedManifestFilesMixin, MirroredS3StaticStorage):
    """Faster hashing than Django's, mirrored on S3."""
