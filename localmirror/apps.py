"""The Django app: system checks and management commands."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import Tags, register


class LocalMirrorConfig(AppConfig):
    """List ``localmirror`` before ``django.contrib.staticfiles``, so that its collectstatic is the one that runs."""

    name = "localmirror"
    verbose_name = "Local mirror"

    def ready(self) -> None:
        """Register the system checks."""
        from localmirror.checks import check_mirrored_storages

        register(check_mirrored_storages, Tags.staticfiles)
