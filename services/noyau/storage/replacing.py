"""Writing a folder so that others see the old one or the complete new one, and a failure leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from noyau.domain.errors import NoyauError
from noyau.storage.store import Store


@contextmanager
def replacing(store: Store, name: str, *, tag: str) -> Iterator[Store]:
    """Gives a hidden sibling of `name` to write into; at the end it takes the place of `name`.

    Args:
        store: the parent folder.
        name: the folder to create or replace.
        tag: makes the sibling's name unique (a job or process id).

    Raises:
        NoyauError: what the body raised, or the move; the sibling is gone then and the old folder stays.
    """
    partial = f".{name}.{tag}.partial"
    try:
        store.remove(partial)
        yield store.child(partial)
        swap(store, partial, name, tag=tag)
    except BaseException:
        with suppress(NoyauError):  # the first error is the one to tell
            store.remove(partial)
        raise


def swap(store: Store, partial: str, name: str, *, tag: str) -> None:
    """Moves `partial` to `name`; what was there is set aside first and removed last."""
    old = f".{name}.{tag}.old"
    had = store.exists(name)
    if had:
        store.remove(old)
        store.move(name, old)
    try:
        store.move(partial, name, last=("zarr.json", ".zattrs", ".zgroup"))
    except BaseException:
        if had:
            with suppress(NoyauError):
                store.remove(name)
                store.move(old, name)
        raise
    if had:
        store.remove(old)
