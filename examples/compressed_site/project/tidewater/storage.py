"""The site's own storage class: a ready-made one with one switch of Django's turned on."""

from localmirror.backends.s3 import MirroredS3ManifestStaticStorage


class StaticStorage(MirroredS3ManifestStaticStorage):
    """Static files under hashed names, those in the imports of JavaScript modules too."""

    support_js_module_import_aggregation = True
