"""Settings of the quickstart; the part about static files is there to be copied."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = "only for the quickstart"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
# With DEBUG on, Django links to files by their plain names: hashed names are for production.
DEBUG = False

INSTALLED_APPS = [
    # Before django.contrib.staticfiles, whose collectstatic it extends.
    "localmirror",
    "django.contrib.staticfiles",
    # Here for their static files: CSS that refers to images, fonts and source maps.
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "dal",
    "dal_select2",
    "django_countries",
    "rest_framework",
    # The site itself.
    "pages",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

ROOT_URLCONF = "quickstart.urls"
WSGI_APPLICATION = "quickstart.wsgi.application"
USE_TZ = True

# Static files, from here on.

# Where the S3 server is. On AWS leave this and "endpoint_url" out.
S3_ENDPOINT = os.environ["QUICKSTART_S3_ENDPOINT"]
BUCKET = "quickstart"

# Where browsers find the files, with a slash at the end. On AWS: f"https://{BUCKET}.s3.amazonaws.com/", or your CDN.
STATIC_URL = f"{S3_ENDPOINT}/{BUCKET}/"

# The mirror: collectstatic copies and hashes files here before it publishes them. Keep it out of version control and
# out of every directory that files are collected from.
STATIC_ROOT = BASE_DIR / "mirror" / "static"

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {
        # Hashed names, listed in a manifest that goes up last.
        "BACKEND": "localmirror.backends.s3.MirroredS3ManifestStaticStorage",
        # All options of django-storages' S3 storage are welcome here too. Credentials are best left to boto3, which
        # finds them in the environment, in ~/.aws or in the machine's role.
        "OPTIONS": {"bucket_name": BUCKET, "endpoint_url": S3_ENDPOINT},
    },
}
