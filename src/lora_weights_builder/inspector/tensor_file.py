"""The only reader of LoRA bytes: opens a file safely, hands out its header, its tensors and its hashes.

Nothing in a library may hang, kill or bloat the process that reads it. So: a regular-file check before and after
opening, never a memory map (a file that shrinks under a map kills the process), positioned reads into buffers of the
caller, and a look at the file's stamp before and after. It opens no pickle and no archive. What the numbers mean is
``strengths``; the form of the header is ``header``.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from lora_weights_builder.errors import FileRejected
from lora_weights_builder.inspector.dtypes import DTYPES, decode
from lora_weights_builder.inspector.header import (
    LENGTH_BYTES,
    MAX_DIMENSION,
    MAX_DIMENSIONS,
    MAX_HEADER_BYTES,
    MAX_METADATA_ENTRIES,
    MAX_METADATA_VALUE_BYTES,
    MAX_NAME_BYTES,
    MAX_TENSORS,
    parse_header,
)
from lora_weights_builder.records import FileHashes, FileStamp, Header, TensorInfo

__all__ = [
    "DTYPES", "MAX_DIMENSION", "MAX_DIMENSIONS", "MAX_HEADER_BYTES", "MAX_METADATA_ENTRIES",
    "MAX_METADATA_VALUE_BYTES", "MAX_NAME_BYTES", "MAX_TENSORS", "TensorFile", "content_hash", "content_hasher",
    "file_hashes", "read_header",
]  # fmt: skip

HASH_BUFFER_BYTES: Final = 2**20
AUTOV3_DIGITS: Final = 12

# O_NONBLOCK: a FIFO put in place between the check and the opening must not hang. O_BINARY: Windows.
_OPEN_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)

# What a file is instead, told by its first bytes.
_FOREIGN: Final = (
    (b"PK\x03\x04", "a zip archive (a PyTorch .pt or .ckpt file); it is never unpickled"),
    (b"\x80\x02", "a Python pickle; it is never unpickled"),
    (b"\x80\x03", "a Python pickle; it is never unpickled"),
    (b"\x80\x04", "a Python pickle; it is never unpickled"),
    (b"\x80\x05", "a Python pickle; it is never unpickled"),
    (b"GGUF", "a GGUF file"),
    (b"GGML", "a GGML file"),
    (b"ggjt", "a GGML file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a numpy array"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a rar archive"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it points to"),
)
_MARKUP: Final = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<error")


class TensorFile:
    """One open .safetensors file. Use as a context manager; :meth:`open` is the only way in.

    ``header`` is validated, ``stamp`` is what the file looked like when opened. Not safe for use by several threads.
    """

    def __init__(self, descriptor: int, path: str, stamp: FileStamp) -> None:
        self.path = path
        self.stamp = stamp
        self._descriptor = descriptor
        # Without preadv (Windows): a raw file object, which can seek and fill a buffer, over the same descriptor.
        self._stream = None if hasattr(os, "preadv") else io.FileIO(descriptor, closefd=False)
        self.header: Header = self._read_header()

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open ``path`` and read its header.

        Raises:
            FileRejected: with the code ``not_found``, ``not_a_file``, ``permission_denied``, ``io_error``,
                ``empty_file``, ``not_safetensors``, ``header_too_large``, ``bad_header``, ``too_many_tensors``,
                ``name_too_long``, ``no_tensors`` or ``changed_during_scan``.
        """
        name = os.fspath(path)
        try:
            _refuse_irregular(os.stat(name), name)
            descriptor = os.open(name, _OPEN_FLAGS)
        except (OSError, ValueError) as fault:
            raise _rejected(name, fault) from None
        try:
            status = os.fstat(descriptor)
            _refuse_irregular(status, name)
            return cls(descriptor, name, _stamp(status))
        except OSError as fault:
            os.close(descriptor)
            raise _rejected(name, fault) from None
        except BaseException:
            os.close(descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptor back; further reads raise :class:`ValueError`."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def check_unchanged(self) -> None:
        """Raise ``changed_during_scan`` where the file is no longer the one that was opened. Callers may retry once."""
        if _stamp(os.fstat(self._descriptor)) != self.stamp:
            raise self._changed()

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill ``buffer`` with the bytes at ``offset`` of the data section.

        Raises:
            FileRejected: ``changed_during_scan`` where the file ends early, ``io_error`` where the disk fails.
        """
        self._fill(buffer, self.header.data_start + offset)

    def read_bytes(self, start: int, end: int) -> NDArray[np.uint8]:
        """The bytes ``start`` to ``end`` of the data section as a fresh array."""
        raw = np.empty(end - start, np.uint8)
        self.read_into(raw.data, start)
        return raw

    def read_tensor(self, info: TensorInfo) -> NDArray[np.float64]:
        """One whole tensor as float64 in its shape. For small tensors: it needs up to nine bytes per byte."""
        return decode(self.read_bytes(info.start, info.end), info.dtype).reshape(info.shape)

    def spans(self, start: int, end: int, buffer: memoryview) -> Iterator[memoryview]:
        """The data section from ``start`` to ``end`` in order, each piece in the same ``buffer``."""
        while start < end:
            piece = buffer[: min(len(buffer), end - start)]
            self.read_into(piece, start)
            yield piece
            start += len(piece)

    def _fill(self, buffer: memoryview, position: int) -> None:
        if self._descriptor < 0:
            raise ValueError("the file is closed")
        done = 0
        try:
            while done < len(buffer):
                if self._stream is None:
                    count = os.preadv(self._descriptor, [buffer[done:]], position + done)
                else:
                    self._stream.seek(position + done)
                    count = self._stream.readinto(buffer[done:]) or 0
                if count == 0:
                    raise self._changed()
                done += count
        except OSError as fault:
            raise _rejected(self.path, fault) from None

    def _changed(self) -> FileRejected:
        return FileRejected(
            f"{self.path}: the file changed while it was read; scan it again once it is complete",
            subject=self.path,
            code="changed_during_scan",
        )

    def _read_header(self) -> Header:
        size = self.stamp.size
        if size == 0:
            raise FileRejected(f"{self.path}: the file is empty", subject=self.path, code="empty_file")
        head = bytearray(min(size, 64))
        self._fill(memoryview(head), 0)
        length = int.from_bytes(head[:LENGTH_BYTES], "little")
        if size < LENGTH_BYTES or head[LENGTH_BYTES : LENGTH_BYTES + 1] != b"{" or length > size - LENGTH_BYTES:
            self._refuse_foreign(bytes(head))
        if size < LENGTH_BYTES or length > size - LENGTH_BYTES:
            raise FileRejected(
                f"{self.path}: the header is damaged or cut short; download or copy the file again",
                subject=self.path,
                code="bad_header",
            )
        if length > MAX_HEADER_BYTES:
            raise FileRejected(
                f"{self.path}: the header is {length} bytes long, more than {MAX_HEADER_BYTES}",
                subject=self.path,
                code="header_too_large",
            )
        raw = bytearray(length)
        self._fill(memoryview(raw), LENGTH_BYTES)
        return parse_header(raw, file_bytes=size, subject=self.path)

    def _refuse_foreign(self, head: bytes) -> None:
        what = next((what for magic, what in _FOREIGN if head.startswith(magic)), None)
        if what is None and head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_MARKUP):
            what = "a web page (a failed download)"
        if what is None and head.lstrip().startswith((b'{"', b"{\n", b"{'")):
            what = "a JSON text (a failed download)"
        if what is not None:
            message = f"{self.path}: this is {what}, not a safetensors file, whatever its name says"
            raise FileRejected(message, subject=self.path, code="not_safetensors")


def read_header(path: str | os.PathLike[str]) -> Header:
    """The validated header of ``path``; raises as :meth:`TensorFile.open` does."""
    with TensorFile.open(path) as file:
        return file.header


def content_hasher(header: Header) -> blake3:
    """A BLAKE3 that has taken in the tensor table (names, dtypes, shapes) and waits for the data section.

    Fed the whole data section in order, its hex digest is the file's content hash. Metadata has no part in it.
    """
    return blake3(bytes.fromhex(header.table_hash))


def content_hash(path: str | os.PathLike[str]) -> tuple[Header, str]:
    """The header and the content hash of ``path``; raises as :meth:`TensorFile.open` does."""
    with TensorFile.open(path) as file:
        hasher = content_hasher(file.header)
        for piece in file.spans(0, file.header.data_bytes, memoryview(bytearray(HASH_BUFFER_BYTES))):
            hasher.update(piece)
        file.check_unchanged()
        return file.header, hasher.hexdigest()


def file_hashes(path: str | os.PathLike[str]) -> FileHashes:
    """BLAKE3 and SHA-256 of the whole file, AutoV3 of all after the header; raises as :meth:`TensorFile.open` does."""
    with TensorFile.open(path) as file:
        whole, secure, data = blake3(), hashlib.sha256(), hashlib.sha256()
        start = -file.header.data_start
        buffer = memoryview(bytearray(HASH_BUFFER_BYTES))
        for first, last in ((start, 0), (0, file.header.data_bytes)):
            for piece in file.spans(first, last, buffer):
                whole.update(piece)
                secure.update(piece)
                if first == 0:
                    data.update(piece)
        file.check_unchanged()
        return FileHashes(blake3=whole.hexdigest(), sha256=secure.hexdigest(), autov3=data.hexdigest()[:AUTOV3_DIGITS])


def _stamp(status: os.stat_result) -> FileStamp:
    return FileStamp(size=status.st_size, mtime_ns=status.st_mtime_ns, ctime_ns=status.st_ctime_ns, inode=status.st_ino)


def _refuse_irregular(status: os.stat_result, name: str) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
    raise FileRejected(f"{name}: this is {what}, not a regular file", subject=name, code="not_a_file")


def _rejected(name: str, fault: OSError | ValueError) -> FileRejected:
    """The operating system's refusal, in the product's words."""
    if isinstance(fault, FileNotFoundError | NotADirectoryError):
        return FileRejected(f"{name}: there is no such file", subject=name, code="not_found")
    if isinstance(fault, PermissionError):
        return FileRejected(f"{name}: permission denied; make it readable", subject=name, code="permission_denied")
    reason = fault.strerror if isinstance(fault, OSError) else str(fault)
    return FileRejected(f"{name}: it cannot be read ({reason})", subject=name, code="io_error")
