"""Saying which command installs what an adapter needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ImproperlyConfigured


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Turn a failing import into an ImportError that names the extra which brings what is missing."""
    try:
        yield
    except (ImportError, ImproperlyConfigured) as error:  # django-storages raises one or the other
        raise ImportError(
            f'This backend needs packages that are not installed: pip install "django-localmirror[{extra}]"'
        ) from error
