"""The Django app: system checks and management commands."""

from __future__ import annotations

from django.apps import AppConfig


class LocalMirrorConfig(AppConfig):
    """List ``localmirror`` before ``django.contrib.staticfiles``, so that its collectstatic is the one that runs."""

    name = "localmirror"
    verbose_name = "Local mirror"
