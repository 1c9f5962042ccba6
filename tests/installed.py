"""Check an installed django-localmirror from outside the repository: `python -I installed.py none|s3|all`.

The nox session `package` runs this in an environment that holds a wheel or an sdist and the named extra.
"""

import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
from pathlib import Path

ADAPTER_OF_EXTRA = {
    "s3": "localmirror.backends.s3",
    "gcs": "localmirror.backends.gcloud",
    "azure": "localmirror.backends.azure",
    "libcloud": "localmirror.backends.libcloud",
}


def check_core() -> None:
    """Fail unless the package is whole, typed and the only top-level module of the distribution."""
    import localmirror

    folder = Path(localmirror.__file__).parent
    assert "site-packages" in folder.parts, f"imported from {folder}, not from the environment"
    assert (folder / "py.typed").is_file(), "py.typed is missing: type checkers ignore the annotations"
    assert importlib.util.find_spec("backends") is None, "a top-level module called backends was installed"
    top_level = {file.parts[0] for file in importlib.metadata.files("django-localmirror") or [] if file.suffix == ".py"}
    assert top_level == {"localmirror"}, f"top-level names installed: {sorted(top_level)}"


def check_adapter_refuses(extra: str) -> None:
    """Fail unless an adapter whose extra is missing says which command installs it."""
    error: Exception | None = None
    try:
        importlib.import_module(ADAPTER_OF_EXTRA[extra])
    except Exception as raised:
        error = raised
    assert error is not None, f"{ADAPTER_OF_EXTRA[extra]} was imported without its extra"
    assert f"django-localmirror[{extra}]" in str(error), f"the error names no command: {error!r}"


def check_every_adapter() -> None:
    """Import every module of localmirror.backends."""
    import localmirror.backends

    for module in pkgutil.iter_modules(localmirror.backends.__path__, "localmirror.backends."):
        importlib.import_module(module.name)


def main(extra: str) -> None:
    """Run the checks that hold with this extra installed."""
    from django.conf import settings

    settings.configure(STORAGES={})
    check_core()
    if extra == "none":
        check_adapter_refuses("s3")
    elif extra == "all":
        check_every_adapter()
    else:
        importlib.import_module(ADAPTER_OF_EXTRA[extra])
    print(f"django-localmirror {importlib.metadata.version('django-localmirror')} is whole with extra: {extra}")


if __name__ == "__main__":
    main(sys.argv[1])
