"""The Django app of its own for projects that use django-compressor."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import Tags, register


class LocalMirrorCompressorConfig(AppConfig):
    """List ``localmirror.contrib.compressor`` before ``compressor``, so that its compress is the one that runs."""

    name = "localmirror.contrib.compressor"
    label = "localmirror_compressor"
    verbose_name = "Local mirror of compressed files"

    def ready(self) -> None:
        """Register the system checks."""
        from localmirror.contrib.compressor.checks import check_compressor

        register(check_compressor, Tags.staticfiles)
