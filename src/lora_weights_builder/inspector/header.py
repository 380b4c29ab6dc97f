"""The header of a .safetensors file: bytes in, a validated :class:`Header` or :class:`FileRejected` out.

Whatever the reference parser rejects is rejected here, and a few things it lets pass are too (a tensor named twice,
leading space, absurd dimensions). It opens no file and reads no tensor: that is ``tensor_file``. What tensor *names*
mean is ``key_grammar``.

Two roads lead through it. The quick one is for the form every writer uses: a flat ``__metadata__`` first, then the
tensors, no escapes in their names. There a count of colons proves that no key stands twice, which a JSON parser alone
would hide. Everything else takes the careful road, which looks at each pair and is only open to small headers.
"""

from __future__ import annotations

import json
import math
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import chain
from operator import itemgetter, sub
from typing import Any

import orjson
from blake3 import blake3

from lora_weights_builder.errors import FileRejected
from lora_weights_builder.inspector.dtypes import DTYPES
from lora_weights_builder.records import Header, TensorInfo

LENGTH_BYTES = 8  # little-endian u64 before the JSON
MAX_HEADER_BYTES = 32 * 2**20
MAX_CAREFUL_HEADER_BYTES = 4 * 2**20  # what the careful road may cost in memory and time
MAX_CAREFUL_LISTS = 200_000
MAX_TENSORS = 50_000
MAX_NAME_BYTES = 1024
MAX_DIMENSIONS = 8
MAX_DIMENSION = 2**40
MAX_METADATA_ENTRIES = 20_000
MAX_METADATA_VALUE_BYTES = 2**20  # longer values are cut, with a warning
MAX_DEPTH = 100  # the reference gives up at 128 levels
MAX_U64 = 2**64 - 1

_CACHED_TABLE_BYTES = 8 * 2**20
_METADATA_KEY = b'"__metadata__"'
_TENSOR_FIELDS = {"dtype", "shape", "data_offsets"}
_FIELDS = itemgetter("dtype", "shape", "data_offsets")

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SPACE = rb"[ \t\r\n]*+"
_PAIR = re.compile(_STRING + _SPACE + b":" + _SPACE + _STRING, re.DOTALL)
_END = re.compile(_SPACE + rb"\Z")
_NAME = re.compile(_SPACE + b'"')
_NEGATIVE = re.compile(rb"[\[,:]" + _SPACE + b"-")


def _flat_metadata_pattern(space: bytes) -> re.Pattern[bytes]:
    """A header's beginning up to the end of its metadata: group 1 the object of strings, group 2 what follows it."""
    pair = _STRING + space + b":" + space + _STRING + space
    entries = rb"\{" + space + rb"(?:" + pair + b"(?:," + space + rb")?+)*+\}"
    before = rb"\{" + space + _METADATA_KEY + space + b":" + space
    return re.compile(before + b"(" + entries + b")" + space + b"([,}])", re.DOTALL)


_COMPACT = _flat_metadata_pattern(b"")
_SPACED = _flat_metadata_pattern(_SPACE)

_COMPACT_START = (b'{"__metadata__":{"', b'{"__metadata__":{}')

_Table = tuple[tuple[TensorInfo, ...], str, int]  # tensors, table_hash, bytes of data


def parse_header(raw: bytearray, *, file_bytes: int, subject: str) -> Header:
    """Validate the JSON header ``raw`` of a file of ``file_bytes`` bytes.

    Args:
        raw: the header without its length prefix; it may be overwritten.
        file_bytes: size of the whole file.
        subject: the file's name for messages.

    Raises:
        FileRejected: ``bad_header``, ``too_many_tensors``, ``name_too_long`` or ``no_tensors``.
    """
    data_start = LENGTH_BYTES + len(raw)
    try:
        if not raw.startswith(b"{"):
            raise _Fault("it does not begin with '{'")
        (tensors, table_hash, covered), metadata, warnings = _parse(raw)
    except _Fault as fault:
        raise FileRejected(f"{subject}: {fault.text(subject)}", subject=subject, code=fault.code) from None
    data_bytes = file_bytes - data_start
    if not tensors or (covered == 0 and data_bytes == 0):
        raise FileRejected(f"{subject}: the file holds no LoRA weights", subject=subject, code="no_tensors")
    if covered != data_bytes:
        what = "is cut short" if covered > data_bytes else "has bytes after its last tensor"
        raise FileRejected(
            f"{subject}: the file {what}: its header describes {covered} bytes of data, it holds {data_bytes}; "
            "download or copy it again",
            subject=subject,
            code="bad_header",
        )
    return Header(
        tensors=tensors,
        metadata=metadata,
        data_start=data_start,
        data_bytes=data_bytes,
        file_bytes=file_bytes,
        table_hash=table_hash,
        warnings=tuple(warnings),
    )


def shown(name: str) -> str:
    """A tensor name fit for a message: control characters escaped, at most 80 characters."""
    plain = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in name[:81])
    return plain if len(plain) <= 80 else plain[:79] + "…"


class _Fault(Exception):
    """A reason to reject, before the file's name is known."""

    def __init__(self, reason: str, code: str = "bad_header") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code

    def text(self, subject: str) -> str:
        return f"the header is damaged: {self.reason}" if self.code == "bad_header" else self.reason


def _parse(raw: bytearray) -> tuple[_Table, dict[str, str], list[str]]:
    """Take the quick road where the header has the usual form, else the careful one."""
    start = 0
    metadata: dict[str, str] = {}
    warnings: list[str] = []
    if _METADATA_KEY in raw:
        if raw.count(b'":"') > MAX_METADATA_ENTRIES + MAX_TENSORS:
            raise _Fault(f"it has more than {MAX_METADATA_ENTRIES} metadata entries or {MAX_TENSORS} tensors")
        compact = raw.startswith(_COMPACT_START)
        found = (_COMPACT if compact else _SPACED).match(raw)
        if found is None:
            return _parse_carefully(raw)
        metadata, warnings = _flat_metadata(raw, *found.span(1), compact=compact)
        start = found.start(2)
        if found[2] == b"}":
            if not _END.match(raw, start + 1):
                raise _Fault("text follows its last brace")
            return _EMPTY_TABLE, metadata, warnings
        # The comma becomes a brace: what follows is now a document of its own, without a copy.
        raw[start] = ord("{")
        if not _NAME.match(raw, start + 1):
            raise _Fault("no tensor follows the comma after its metadata")
    table = _table_quickly(raw, start)
    if table is not None:
        return table, metadata, warnings
    if start:
        raw[start] = ord(",")
    return _parse_carefully(raw)


def _flat_metadata(raw: bytearray, start: int, end: int, *, compact: bool) -> tuple[dict[str, str], list[str]]:
    """The metadata object between ``start`` and ``end``, which a pattern has found to hold only strings.

    In the compact form the count of ``":"`` may be too high (a value can end in a quote and a colon), never too low.
    """
    entries = raw.count(b'":"', start, end)
    if not compact or entries > MAX_METADATA_ENTRIES:
        entries = 0
        for _ in _PAIR.finditer(raw, start, end):
            entries += 1
            if entries > MAX_METADATA_ENTRIES:
                raise _Fault(f"its metadata has more than {MAX_METADATA_ENTRIES} entries")
    metadata = _loads(memoryview(raw)[start:end])
    if entries != len(metadata):
        entries = sum(1 for _ in _PAIR.finditer(raw, start, end))
    return _capped_metadata(metadata, entries)


def _capped_metadata(metadata: dict[str, str], entries: int) -> tuple[dict[str, str], list[str]]:
    warnings = []
    if entries != len(metadata):
        warnings.append("duplicate_metadata: a metadata key stands more than once; its last value was taken")
    for key, value in metadata.items():
        if len(value) > MAX_METADATA_VALUE_BYTES:
            metadata[key] = value[:MAX_METADATA_VALUE_BYTES]
            warnings.append(f"metadata_cut: the metadata value '{shown(key)}' was cut to {MAX_METADATA_VALUE_BYTES}")
    return metadata, warnings


def _table_quickly(raw: bytearray, start: int) -> _Table | None:
    """The tensor table that begins at ``start``; ``None`` where only the careful road can judge it.

    A table without backslashes that holds n tensors of exactly three fields each has 4 n colons. A key that stands
    twice, of a tensor or inside one, would add a colon: so the count proves that there is none.
    """
    digest = blake3(memoryview(raw)[start:]).digest()
    known = _TABLES.get(digest)
    if known is not None:
        return known
    colons = raw.count(b":", start)
    if raw.find(b"\\", start) >= 0 or raw.find(_METADATA_KEY, start) >= 0:
        return None
    if raw.find(b"-", start) >= 0 and _NEGATIVE.search(raw, start):
        return None  # -0 is a float to the reference and 0 to the quick parser
    # Each bracket and comma becomes an object in memory: count them before building any.
    if colons > 4 * MAX_TENSORS and raw.count(b"{", start) > MAX_TENSORS:
        raise _Fault(f"the file names more than {MAX_TENSORS} tensors", "too_many_tensors")
    if raw.count(b"[", start) > 2 * MAX_TENSORS or raw.count(b",", start) > (MAX_DIMENSIONS + 5) * MAX_TENSORS:
        return None
    entries = _loads(memoryview(raw)[start:])
    if colons != 4 * len(entries):
        return None
    table = _usual_table(entries)
    if table is None:
        if not all(type(entry) is dict and len(entry) == 3 for entry in entries.values()):
            return None
        table = _table(entries)
    _TABLES.put(digest, table, len(raw) - start)
    return table


def _usual_table(entries: dict[str, Any]) -> _Table | None:
    """What :func:`_table` does, a column at a time, for tables as writers leave them; ``None`` for any other.

    Usual is: no empty tensor, and the tensors listed in the order of their bytes.
    """
    try:
        rows = list(map(_FIELDS, entries.values()))
        dtypes, shape_lists, offsets = zip(*rows, strict=True)
        shapes = list(map(tuple, shape_lists))
        starts, ends = zip(*offsets, strict=True)
        numbers = {*map(type, chain.from_iterable(shape_lists)), *map(type, starts), *map(type, ends)}
        forms = list(zip(dtypes, shapes, strict=True))
        sizes = {form: _size(*form) for form in set(forms)}
    except (KeyError, TypeError, ValueError):
        return None
    usual = (
        numbers == {int}
        and set(map(type, shape_lists)) == {list}
        and set(map(len, entries.values())) == {3}
        and starts[0] == 0
        and starts[1:] == ends[:-1]
        and len(rows) <= MAX_TENSORS
        and min(sizes.values()) > 0
        and list(map(sizes.__getitem__, forms)) == list(map(sub, ends, starts))
        and max(map(len, entries)) * 4 <= MAX_NAME_BYTES
    )
    if not usual:
        return None
    tensors = tuple(map(TensorInfo, entries, dtypes, shapes, starts, ends))
    return tensors, _table_hash(zip(entries, dtypes, shape_lists, strict=True), ends[-1]), ends[-1]


def _size(dtype: str, shape: tuple[int, ...]) -> int:
    """Bytes of a tensor; 0 where only the full check can tell."""
    bits = math.prod(shape) * DTYPES[dtype]
    bounded = len(shape) <= MAX_DIMENSIONS and all(0 < size <= MAX_DIMENSION for size in shape)
    return bits // 8 if bounded and bits % 8 == 0 else 0


def _table_hash(rows: Iterable[tuple[str, str, Sequence[int]]], data_bytes: int) -> str:
    """Hex BLAKE3 of the compact JSON ``[[[name, dtype, shape], ...], data_bytes]``, rows in the order of bytes."""
    return blake3(orjson.dumps((list(rows), data_bytes))).hexdigest()


def _parse_carefully(raw: bytearray) -> tuple[_Table, dict[str, str], list[str]]:
    """Judge a header of any form, pair by pair."""
    if len(raw) > MAX_CAREFUL_HEADER_BYTES:
        raise _Fault(f"it has an unusual form and is larger than {MAX_CAREFUL_HEADER_BYTES} bytes")
    if raw.count(b"[") + raw.count(b"{") > MAX_CAREFUL_LISTS:
        raise _Fault(f"it has an unusual form and more than {MAX_CAREFUL_LISTS} brackets")
    _loads(raw)  # grammar, UTF-8 and lone surrogates, on which the slower parser below is lenient
    try:
        pairs = json.loads(raw.decode(), object_pairs_hook=_Pairs, parse_int=_integer)
    except RecursionError:
        raise _Fault("it is nested too deeply") from None
    if type(pairs) is not _Pairs:
        raise _Fault("it is not a JSON object")
    metadata: dict[str, str] = {}
    warnings: list[str] = []
    entries: dict[str, dict[str, Any]] = {}
    seen_metadata = False
    for name, value in pairs:
        if name == "__metadata__":
            if seen_metadata:
                raise _Fault("'__metadata__' stands in it twice")
            seen_metadata = True
            metadata, warnings = _careful_metadata(value)
        elif name in entries:
            raise _Fault(f"the tensor '{shown(name)}' stands in it twice")
        else:
            entries[name] = _careful_entry(name, value)
    return _table(entries), metadata, warnings


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its duplicate keys still in it."""


def _integer(text: str) -> int | float:
    return float(text) if text.startswith("-") or len(text) > 20 else int(text)  # the reference reads -0 as a float


def _refuse_deep(value: Any, levels: int) -> None:
    if levels == 0:
        raise _Fault("it is nested too deeply")
    if isinstance(value, list):
        for item in value:  # of a list, or a pair of an object
            inner = item[1] if type(value) is _Pairs else item
            if isinstance(inner, list):
                _refuse_deep(inner, levels - 1)


def _careful_metadata(value: Any) -> tuple[dict[str, str], list[str]]:
    if value is None:
        return {}, []
    if type(value) is not _Pairs or not all(type(entry) is str for _, entry in value):
        raise _Fault("its metadata is not an object of strings")
    if len(value) > MAX_METADATA_ENTRIES:
        raise _Fault(f"its metadata has more than {MAX_METADATA_ENTRIES} entries")
    return _capped_metadata(dict(value), len(value))


def _careful_entry(name: str, value: Any) -> dict[str, Any]:
    if type(value) is not _Pairs:
        raise _Fault(f"the entry of tensor '{shown(name)}' is not an object")
    entry: dict[str, Any] = {}
    for field, content in value:
        if field in _TENSOR_FIELDS and field in entry:
            raise _Fault(f"'{field}' of tensor '{shown(name)}' stands in it twice")
        if field not in _TENSOR_FIELDS:  # the reference passes over a field it does not know
            _refuse_deep(content, MAX_DEPTH)
        entry[field] = content
    return entry


def _loads(raw: bytearray | memoryview) -> Any:
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError as fault:
        raise _Fault(f"it is not valid JSON ({str(fault)[:80]})") from None
    if type(parsed) is not dict:
        raise _Fault("it is not a JSON object")
    return parsed


def _table(entries: dict[str, dict[str, Any]]) -> _Table:
    """Check every entry and that together they cover the data without hole or overlap."""
    if len(entries) > MAX_TENSORS:
        raise _Fault(f"the file names {len(entries)} tensors, more than {MAX_TENSORS}", "too_many_tensors")
    tensors = [_tensor(name, entry) for name, entry in entries.items()]
    tensors.sort(key=lambda info: (info.start, info.end, info.name))
    position = 0
    for info in tensors:
        if info.start != position:
            what = "overlap" if info.start < position else "leave a hole"
            raise _Fault(f"the bytes of its tensors {what} at '{shown(info.name)}'")
        position = info.end
    rows = ((info.name, info.dtype, info.shape) for info in tensors)
    return tuple(tensors), _table_hash(rows, position), position


def _tensor(name: str, entry: dict[str, Any]) -> TensorInfo:
    """One validated entry; the common case costs one multiplication a dimension."""
    try:
        dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        bits = DTYPES[dtype]
        count = 1
        for size in shape:
            if type(size) is not int or not 0 <= size <= MAX_DIMENSION:
                raise _Fault(f"a dimension of tensor '{shown(name)}' is not between 0 and {MAX_DIMENSION}")
            count *= size
        if type(start) is not int or type(end) is not int or type(shape) is not list:
            raise _Fault(f"an offset of tensor '{shown(name)}' is not a whole number, or its shape not a list")
    except (KeyError, TypeError, ValueError):
        raise _Fault(_entry_fault(name, entry)) from None
    if count * bits != (end - start) * 8 or start < 0 or (count == 0 and _overflows(shape, bits)):
        raise _Fault(f"shape and offsets of tensor '{shown(name)}' contradict each other")
    if len(shape) > MAX_DIMENSIONS:
        raise _Fault(f"tensor '{shown(name)}' has {len(shape)} dimensions, more than {MAX_DIMENSIONS}")
    if len(name) * 4 > MAX_NAME_BYTES and len(name.encode()) > MAX_NAME_BYTES:
        raise _Fault(f"the name of a tensor is longer than {MAX_NAME_BYTES} bytes: '{shown(name)}'", "name_too_long")
    return TensorInfo(name, dtype, tuple(shape), start, end)


def _overflows(shape: list[int], bits: int) -> bool:
    """Whether the reference, which multiplies in 64 bits from the left, overflows before it meets the zero."""
    count = 1
    for size in shape:
        count *= size
        if count > MAX_U64:
            return True
    return count * bits > MAX_U64


def _entry_fault(name: str, entry: dict[str, Any]) -> str:
    missing = sorted(_TENSOR_FIELDS - entry.keys())
    if missing:
        return f"tensor '{shown(name)}' lacks {', '.join(missing)}"
    if type(entry["dtype"]) is not str or entry["dtype"] not in DTYPES:
        return f"tensor '{shown(name)}' has the unknown dtype {shown(str(entry['dtype']))}"
    return f"shape or offsets of tensor '{shown(name)}' are not lists of whole numbers"


class _TableCache:
    """The last few tables by the digest of their JSON: files of one trainer often share theirs to the byte."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._bytes = 0
        self._tables: OrderedDict[bytes, tuple[_Table, int]] = OrderedDict()

    def get(self, digest: bytes) -> _Table | None:
        found = self._tables.get(digest)
        if found is None:
            return None
        self._tables.move_to_end(digest)
        return found[0]

    def clear(self) -> None:
        """Forget them all."""
        self._tables.clear()
        self._bytes = 0

    def put(self, digest: bytes, table: _Table, size: int) -> None:
        if size > self._capacity // 8:
            return
        self._tables[digest] = (table, size)
        self._bytes += size
        while self._bytes > self._capacity:
            self._bytes -= self._tables.popitem(last=False)[1][1]


_EMPTY_TABLE: _Table = ((), _table_hash((), 0), 0)
_TABLES = _TableCache(_CACHED_TABLE_BYTES)
