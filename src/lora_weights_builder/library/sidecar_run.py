"""The part of a run that brings up to date what lies beside the LoRA files.

Out of the walk's listing, so an unchanged library costs a comparison and no file is opened; only sidecars whose own
stamp has changed are read again. Preview images are not opened at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from lora_weights_builder.library import index_store, rows, sidecar_files, sidecar_store
from lora_weights_builder.library.beside import Beside
from lora_weights_builder.library.database import Database
from lora_weights_builder.library.sidecar_store import Found, Known

_NOTHING = Beside()
_NOT_KNOWN = Known()


def settle(
    database: Database, files: Collection[str], beside: Mapping[str, Beside], should_stop: Callable[[], bool]
) -> None:
    """Store what a walk found beside the files.

    Args:
        files: paths of the LoRA files that were seen; entries of others keep what is stored.
        beside: what lies beside those that have anything. should_stop: asked between batches of files.
    """
    with database.reading() as connection:
        known = sidecar_store.known(connection)
    changed = [path for path in {**known, **beside} if path in files and _differ(known.get(path), beside.get(path))]
    for batch in index_store.batches(sorted(changed)):
        if should_stop():
            return
        found = {path: _read(beside.get(path, _NOTHING)) for path in batch}
        with database.writing() as connection:
            sidecar_store.replace(connection, found, rows.now())


def _differ(known: Known | None, beside: Beside | None) -> bool:
    known, beside = known or _NOT_KNOWN, beside or _NOTHING
    if known.preview != beside.preview or known.sidecars.keys() != beside.sidecars.keys():
        return True
    return any((one.name, one.marks) != known.sidecars[kind] for kind, one in beside.sidecars.items())


def _read(beside: Beside) -> Found:
    sidecars = [(kind, one, sidecar_files.read(one.os_path, kind)) for kind, one in beside.sidecars.items()]
    return Found(beside.preview, sidecars)
