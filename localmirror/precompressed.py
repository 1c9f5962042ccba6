"""Compressed siblings of static files, made while they are collected."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any

from django.contrib.staticfiles.storage import HashedFilesMixin
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile

from localmirror.names import Digests, sibling_of

if TYPE_CHECKING:
    from localmirror.roles import StaticMirrorMixin

    Base = StaticMirrorMixin
else:
    Base = object

_WORKERS = 4
_ORDER = "class X(PrecompressedFilesMixin, ManifestFilesMixin, StaticMirrorMixin, LocalMirrorMixin, S3StaticStorage)"


class PrecompressedFilesMixin(Base):
    """Give files that shrink a ``.gz`` and, with the package Brotli, a ``.br`` sibling, by WhiteNoise's compressor.

    Stand it before the hashing mixin. The siblings are published with the Content-Encoding and the Content-Type that
    they are to be served with. Where a plain name has siblings they follow its content also when it does not shrink any
    more. Raises ImproperlyConfigured if whitenoise is not installed.
    """

    #: Extensions that are not worth compressing; None for WhiteNoise's own list.
    precompress_skip_extensions: tuple[str, ...] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        mro = cls.__mro__
        for base in mro[: mro.index(PrecompressedFilesMixin)]:
            if issubclass(base, HashedFilesMixin) and not issubclass(base, PrecompressedFilesMixin):
                raise ImproperlyConfigured(
                    f"{cls.__qualname__} names {base.__qualname__} before PrecompressedFilesMixin, which would then "
                    f"never be asked. The order is compression, hashing, role, mirror, remote, as in {_ORDER}."
                )
        if hasattr(cls, "_save") and not hasattr(cls, "mirror_publish"):
            raise ImproperlyConfigured(
                f"{cls.__qualname__} has PrecompressedFilesMixin but not LocalMirrorMixin among its bases, so there is "
                "no release for siblings to be part of. The order is compression, hashing, role, mirror, remote, as in "
                f"{_ORDER}."
            )

    def post_process(self, paths: dict[str, Any], dry_run: bool = False, **options: Any) -> Iterator[Any]:
        """Post-process as the hashing mixin does, then compress what it produced and what it was given."""
        names = dict.fromkeys(paths) if self.mirror_publish == "all" else {}
        inherited = getattr(super(), "post_process", None)
        if inherited is not None:
            for name, output, processed in inherited(paths, dry_run, **options):
                if output and not isinstance(processed, Exception):
                    names[output] = None
                yield name, output, processed
        if not dry_run:
            yield from self._compress([name for name in names if sibling_of(name) is None and self.exists(name)])

    def _compress(self, names: list[str]) -> Iterator[tuple[str, str, bool]]:
        compressor = _compressor(self.precompress_skip_extensions)
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="localmirror-compress") as pool:
            jobs = {
                pool.submit(self._siblings, compressor, name): name
                for name in names
                if compressor.should_compress(name) and not self._has_siblings(name)
            }
            for job in as_completed(jobs):
                for sibling, data in job.result():
                    self._save(sibling, ContentFile(data, sibling))
                    yield jobs[job], sibling, True

    def _has_siblings(self, name: str) -> bool:
        """Whether *name* has been compressed since it was written."""
        written = self.mirror.find(name)
        made = [found for extension in (".gz", ".br") if (found := self.mirror.find(f"{name}{extension}"))]
        return written is not None and bool(made) and all(m.st_mtime_ns >= written.st_mtime_ns for m in made)

    def _siblings(self, compressor: Any, name: str) -> list[tuple[str, bytes]]:
        with self.open(name) as file:
            data = file.read()
        digests = Digests(name)
        digests.update(data)
        made = []
        shrinks = True
        for extension, wanted, compress in (
            (".br", compressor.use_brotli, compressor.compress_brotli),
            (".gz", compressor.use_gzip, compressor.compress_gzip),
        ):
            sibling = f"{name}{extension}"
            # What an earlier release has left under a plain name would be served in place of the new content.
            follows = not digests.named and self.mirror.find(sibling) is not None
            if wanted and (shrinks or follows):
                compressed = compress(data)
                # What does not shrink in one way does not in another either.
                shrinks = shrinks and compressor.is_compressed_effectively(extension, name, len(data), compressed)
                if shrinks or follows:
                    made.append((sibling, compressed))
        return made


def _compressor(skip: tuple[str, ...] | None) -> Any:
    try:
        from whitenoise.compress import Compressor
    except ImportError as error:
        raise ImproperlyConfigured(
            'PrecompressedFilesMixin uses the compressor of WhiteNoise: pip install "whitenoise[brotli]"'
        ) from error
    return Compressor(extensions=skip, quiet=True)
