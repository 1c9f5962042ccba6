"""Choosing what publish moves files with: the engine over obstore where it does just what the storage would do."""

from __future__ import annotations

import os
from importlib import import_module

from localmirror.remote import Engine, RemoteSeam

# Of Python's errors, those about a value that no provider's SDK was asked for yet: it may well take it.
_NO_WORD = (TypeError, ValueError, OverflowError)
# The process that has used obstore first, among this one and those it was forked from.
_first_user: int | None = None


class Unfit(Exception):
    """Why obstore cannot do something just as the storage would; the storage does it itself then."""


def fitting_engine(storage: RemoteSeam, module: str) -> Engine:
    """Return what ``engine(storage)`` of *module* returns, or the storage's own way where obstore does not fit.

    Only management commands may call it: obstore 0.12 never answers in a process that was forked from one which has
    used it, so nothing that a web process does may as much as import it.
    """
    global _first_user
    try:
        if _first_user not in (None, os.getpid()):
            raise Unfit("this process was forked from one that has used obstore")
        engine: Engine = _made(_imported(module), storage)
    except Unfit as reason:
        plain = Engine(storage)
        plain.remarks.append(f"{storage.describe_remote()} moves its files itself: {reason}.")
        return plain
    _first_user = os.getpid()
    return engine


def _imported(module: str) -> type[Engine]:
    try:
        found: type[Engine] = import_module(module).engine
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "obstore":
            raise
        raise Unfit("obstore is not installed") from error
    return found


def _made(engine: type[Engine], storage: RemoteSeam) -> Engine:
    try:
        return engine(storage)
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "obstore" and type(error) not in _NO_WORD:
            raise
        raise Unfit(f"obstore cannot be set up ({type(error).__name__})") from None


def require_stock(storage: RemoteSeam, *, saves_in_its_own_way: bool, **owners: type) -> None:
    """Raise Unfit if a project has overridden how *storage* saves; *owners* tell whose methods it must have."""
    if saves_in_its_own_way or any(
        getattr(type(storage), name) is not getattr(owner, name) for name, owner in owners.items()
    ):
        raise Unfit("its class overrides how files are saved, listed or deleted")
