"""Settings of the benchmark's project: one Django, whose static storage is what the environment asks for.

BENCH_STORAGE names an entry of ``STATIC_STORAGES``; BENCH_SOURCE is the corpus, BENCH_STATIC_ROOT the local
directory, BENCH_ENDPOINT and BENCH_BUCKET the S3 server, BENCH_CACHE_DIR a directory for Collectfasta's cache.
BENCH_WORKERS, if it is set, is how many files localmirror sends at a time.
"""

from __future__ import annotations

import os
from typing import Any

_storage = os.environ["BENCH_STORAGE"]

SECRET_KEY = "only for the benchmark"
DEBUG = False
USE_TZ = True
DATABASES: dict[str, Any] = {}
STATIC_URL = "/static/"
STATICFILES_DIRS = [os.environ["BENCH_SOURCE"]]
STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
STATIC_ROOT = os.environ["BENCH_STATIC_ROOT"]

_s3 = {
    "bucket_name": os.environ.get("BENCH_BUCKET", ""),
    "access_key": os.environ.get("BENCH_ACCESS_KEY", ""),
    "secret_key": os.environ.get("BENCH_SECRET_KEY", ""),
    "endpoint_url": os.environ.get("BENCH_ENDPOINT", ""),
    "region_name": "us-east-1",
    "addressing_style": "path",
    "signature_version": "s3v4",
    "querystring_auth": False,
}
_mirror: dict[str, Any] = {"mirror_location": STATIC_ROOT}
if "BENCH_WORKERS" in os.environ:
    _mirror["mirror_workers"] = int(os.environ["BENCH_WORKERS"])
_ours = "localmirror.backends.s3.MirroredS3ManifestStaticStorage"
_ours_mse = "storage.MirroredEnhancedStorage"

#: Storage name: (class, options, the app whose collectstatic runs, if not Django's own).
STATIC_STORAGES: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "stock": ("django.contrib.staticfiles.storage.ManifestStaticFilesStorage", {}, None),
    "mse": (
        "django_manifeststaticfiles_enhanced.storage.EnhancedManifestStaticFilesStorage",
        {},
        "django_manifeststaticfiles_enhanced",
    ),
    "django-storages": ("storages.backends.s3.S3ManifestStaticStorage", _s3, None),
    "collectfasta": ("storages.backends.s3.S3ManifestStaticStorage", _s3, "collectfasta"),
    "ours-stock-all": (_ours, {**_s3, **_mirror, "mirror_publish": "all"}, "localmirror"),
    "ours-stock-hashed": (_ours, {**_s3, **_mirror, "mirror_publish": "hashed"}, "localmirror"),
    "ours-mse-all": (_ours_mse, {**_s3, **_mirror, "mirror_publish": "all"}, "localmirror"),
    "ours-mse-hashed": (_ours_mse, {**_s3, **_mirror, "mirror_publish": "hashed"}, "localmirror"),
}

_backend, _options, _app = STATIC_STORAGES[_storage]
if _options.get("endpoint_url"):
    STATIC_URL = f"{_options['endpoint_url']}/{_options['bucket_name']}/"
STORAGES: dict[str, Any] = {"staticfiles": {"BACKEND": _backend, "OPTIONS": _options}}
INSTALLED_APPS = [*([_app] if _app else []), "django.contrib.staticfiles"]

if _storage == "collectfasta":
    COLLECTFASTA_STRATEGY = "collectfasta.strategies.boto3.Boto3ManifestMemoryStrategy"
    COLLECTFASTA_THREADS = 20
    COLLECTFASTA_CACHE = "collectfasta"
    CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "collectfasta": {
            "BACKEND": "cache.UnculledFileCache",
            "LOCATION": os.environ["BENCH_CACHE_DIR"],
            "TIMEOUT": None,
            "OPTIONS": {"MAX_ENTRIES": 1_000_000},
        },
    }
