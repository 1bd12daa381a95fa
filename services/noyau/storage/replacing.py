"""Writing a folder so that others see the old one or the complete new one, and a failure leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from noyau.domain.errors import AlreadyExists, NoyauError
from noyau.storage.store import Store

DOCUMENTS = ("zarr.json", ".zattrs", ".zgroup")


@contextmanager
def replacing(store: Store, name: str, *, tag: str, overwrite: bool) -> Iterator[Store]:
    """Gives a hidden sibling of `name` to write into; at the end it takes the place of `name`.

    Args:
        store: the parent folder.
        name: the folder to create or replace.
        overwrite: whether something that is at `name` by the end is replaced.
        tag: makes the sibling's name unique (a job or process id).

    Raises:
        AlreadyExists: somebody else made `name` in the meantime.
        NoyauError: what the body raised, or the move; the sibling is gone then and the old folder stays.
    """
    partial = f".{name}.{tag}.partial"
    try:
        store.remove(partial)
        yield store.child(partial)
        if store.exists(name) and not overwrite:
            raise AlreadyExists(f"'{store.locate(name)}' was made by somebody else in the meantime.")
        swap(store, partial, name, tag=tag)
    except BaseException:
        with suppress(NoyauError):  # the first error is the one to tell
            store.remove(partial)
        raise


def swap(store: Store, partial: str, name: str, *, tag: str) -> None:
    """Moves `partial` to `name`; what was there is set aside first and removed last."""
    old = f".{name}.{tag}.old"
    if store.exists(name):
        store.remove(old)
        store.move(name, old, last=DOCUMENTS)
    try:
        store.move(partial, name, last=DOCUMENTS)
    except BaseException:
        with suppress(NoyauError):
            if store.exists(old):
                store.remove(name)
                store.move(old, name, last=DOCUMENTS)
        raise
    store.remove(old)


def discard(store: Store, name: str, *, tag: str) -> None:
    """Removes what an interrupted replacement left; what was set aside comes back when its place is free."""
    store.remove(f".{name}.{tag}.partial")
    old = f".{name}.{tag}.old"
    if store.exists(old):
        if store.exists(name):
            store.remove(old)
        else:
            store.move(old, name, last=DOCUMENTS)
