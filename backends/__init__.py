"""Adapters, one module per remote; installed and imported as `localmirror.backends`, never as `backends`."""

if __name__ != "localmirror.backends":
    raise ImportError(
        "This directory is the package localmirror.backends: import it by that name "
        "(from localmirror.backends.s3 import MirroredS3Storage)."
    )
