"""Settings of the compressed site; the part about static files is there to be copied."""

import mimetypes
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = "only for the example"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
# With DEBUG on, Django links to files by their plain names, and compressor leaves them as they are.
DEBUG = False

INSTALLED_APPS = [
    # Before django.contrib.staticfiles, whose collectstatic it extends.
    "localmirror",
    # Before compressor, whose compress it extends.
    "localmirror.contrib.compressor",
    "django.contrib.staticfiles",
    "compressor",
    # The site itself.
    "almanac",
    "tides",
]

MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        # For {{ STATIC_URL }}; {% static %} needs nothing.
        "OPTIONS": {"context_processors": ["django.template.context_processors.static"]},
    }
]

ROOT_URLCONF = "tidewater.urls"
WSGI_APPLICATION = "tidewater.wsgi.application"
USE_TZ = True
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django.request": {"handlers": ["console"]}, "django.server": {"level": "ERROR"}},
}

# Static files, from here on.

# Where the S3 server is. On AWS leave this and "endpoint_url" out.
S3_ENDPOINT = os.environ["SITE_S3_ENDPOINT"]
# The domain of the CDN, whose origin is the bucket, such as "d1234.cloudfront.net".
CDN_DOMAIN = os.environ["SITE_CDN_DOMAIN"]

# Where browsers find the files: the CDN's domain and the location in the bucket, with a slash at the end.
STATIC_URL = f"http://{CDN_DOMAIN}/static/"

# The mirror: collectstatic copies and hashes files here, and compressor finds its sources here and writes its output
# here. Keep it out of version control and out of every directory that files are collected from.
STATIC_ROOT = BASE_DIR / "mirror" / "static"

STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "compressor.finders.CompressorFinder",
]

# The same for all three storages, so that their addresses agree. All options of django-storages' S3 storage are welcome
# here. Credentials are best left to boto3, which finds them in the environment, in ~/.aws or in the machine's role.
BUCKET_OPTIONS = {
    "bucket_name": "tidewater",
    "location": "static",
    "custom_domain": CDN_DOMAIN,
    "endpoint_url": S3_ENDPOINT,
    # Only for this example: "https:" is the default.
    "url_protocol": "http:",
}
COMPRESSOR_STORAGE = {
    "BACKEND": "localmirror.backends.s3.MirroredS3CompressorStorage",
    "OPTIONS": BUCKET_OPTIONS,
}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    # Or "localmirror.backends.s3.MirroredS3ManifestStaticStorage", if no file is a JavaScript module.
    "staticfiles": {"BACKEND": "tidewater.storage.StaticStorage", "OPTIONS": BUCKET_OPTIONS},
    # Compressor's output.
    "compressor": COMPRESSOR_STORAGE,
    # The offline manifest. The name of this alias is a slip of django-compressor's: it has to be spelt like this.
    "compressor-offine": COMPRESSOR_STORAGE,
}

COMPRESS_ENABLED = True
# On: `manage.py compress` does the work when the site is deployed. Off: whoever renders a page first does.
COMPRESS_OFFLINE = os.environ.get("SITE_COMPRESS", "offline") == "offline"
# Beside compressor's output, where no static file of yours can have the same name.
COMPRESS_OFFLINE_MANIFEST = "CACHE/manifest.json"
COMPRESS_FILTERS = {
    "css": [
        # In the place of CssAbsoluteFilter: every URL in CSS becomes the CDN's, with the name that has the hash.
        "localmirror.contrib.compressor.filters.HashedCssFilter",
        "compressor.filters.cssmin.rCSSMinFilter",
    ],
    "js": ["compressor.filters.jsmin.rJSMinFilter"],
}

# What a file is served as is guessed from its name. Before 3.14 Python knows no fonts unless the system has a list of
# types (/etc/mime.types), which slim images do not.
mimetypes.add_type("font/woff", ".woff")
mimetypes.add_type("font/woff2", ".woff2")
