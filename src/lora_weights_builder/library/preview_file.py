"""Opens the preview image beside a LoRA, found by the entry's id alone.

The last look before a stranger's file goes out: it must still lie inside a root of the library, be a plain file of a
bearable size, and be by its own bytes one of the kinds of images that cannot carry a script. Its name is no evidence.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import sqlalchemy as sa

from lora_weights_builder.errors import NotFound
from lora_weights_builder.library import index_store, paths, sidecar_files
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.database import lora
from lora_weights_builder.library.sidecar_tables import lora_preview

MAX_BYTES: Final = 32 << 20
CHUNK_BYTES: Final = 256 << 10
MEDIA_TYPES: Final = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/avif")
_HEAD_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Preview:
    """An opened image: its media type by content, and a tag that changes with the file. Close it, or read it out."""

    media_type: str
    tag: str
    file: IO[bytes]

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()

    def chunks(self) -> Iterator[bytes]:
        """The image from its first byte, never more than :data:`MAX_BYTES`; closes the file."""
        with self.file:
            self.file.seek(0)
            left = MAX_BYTES
            while left > 0 and (part := self.file.read(min(CHUNK_BYTES, left))):
                left -= len(part)
                yield part


def open_preview(catalog: Catalog, stable_id: str) -> Preview:
    """The image beside an entry's file.

    Raises:
        NotFound: there is no such entry, it has no image, or the image cannot be shown; the sentence says which.
    """
    place, roots = _place(catalog, stable_id)

    def refused(why: str) -> NotFound:
        return NotFound(f"The preview image of {stable_id!r} cannot be shown: {why}.", subject=stable_id)

    try:
        path = os.path.realpath(place, strict=True)
        if not any(paths.is_inside(path, os.path.realpath(paths.to_os(root))) for root in roots):
            raise refused("it lies outside the library")
        file, found = sidecar_files.open_plain(path, MAX_BYTES)
        try:
            media_type = sniff(file.read(_HEAD_BYTES))
            if media_type is None:
                raise refused("it is no PNG, JPEG, WebP, GIF or AVIF, whatever its name says")
        except (OSError, NotFound):
            file.close()
            raise
    except (OSError, ValueError) as fault:
        raise refused(_reason(fault)) from fault
    return Preview(media_type, f"{found.st_size:x}-{found.st_mtime_ns:x}-{found.st_ctime_ns:x}", file)


def sniff(head: bytes) -> str | None:
    """The media type of an image by its first bytes, one of :data:`MEDIA_TYPES`; ``None`` for everything else."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    # The brands of an ISO media file: the major one, a version, then the compatible ones.
    if head[4:8] == b"ftyp" and {b"avif", b"avis"} & {head[at : at + 4] for at in (8, *range(16, len(head), 4))}:
        return "image/avif"
    return None


def _place(catalog: Catalog, stable_id: str) -> tuple[Path, list[str]]:
    """Where the image of an entry should be, and the roots it has to be inside of."""
    statement = (
        sa.select(lora.c.file_path, lora.c.state, lora_preview.c.name)
        .select_from(lora.outerjoin(lora_preview, lora_preview.c.lora_id == lora.c.id))
        .where(lora.c.stable_id == (stable_id if stable_id.isascii() else ""))
    )
    with catalog.database.reading() as connection:
        row = connection.execute(statement).one_or_none()
        roots = index_store.saved_roots(connection)
    if row is None:
        raise NotFound(f"No entry has the id {stable_id!r}.", subject=stable_id)
    if row.name is None or row.state != "present":
        raise NotFound(f"There is no preview image beside {stable_id!r}.", subject=stable_id)
    return Path(paths.to_os(row.file_path)).parent / paths.to_os(row.name), list(roots.values())


def _reason(fault: OSError | ValueError) -> str:
    if isinstance(fault, PermissionError):
        return "permission denied"
    if isinstance(fault, FileNotFoundError):
        return "it is gone; the next index run notices"
    return "it cannot be read" if isinstance(fault, OSError) else str(fault)
