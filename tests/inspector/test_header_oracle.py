"""Differential test of the header parser: whatever the reference reader rejects is rejected here."""

# ruff: noqa: E501 - a header is easier to judge on one line

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, deserialize

from lora_weights_builder.errors import FileRejected
from lora_weights_builder.inspector.header import parse_header
from lora_weights_builder.records import Header
from tests.inspector.lora_files import raw_file

T = '"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}'
B = '"b":{"dtype":"F16","shape":[2],"data_offsets":[4,8]}'

# header, bytes of data, whether ours accepts; the reference's own answer is asked each time
HAND_MADE = {
    "plain": ("{" + T + "}", 4, True),
    "two tensors": ("{" + T + "," + B + "}", 8, True),
    "listed backwards": ("{" + B + "," + T + "}", 8, True),
    "spaces": ('{ "__metadata__" : { "x" : "y" } ,\n ' + T + " }  ", 4, True),
    "metadata last": ("{" + T + ',"__metadata__":{"x":"y"}}', 4, True),
    "metadata null": ('{"__metadata__":null,' + T + "}", 4, True),
    "metadata empty": ('{"__metadata__":{},' + T + "}", 4, True),
    "metadata key twice": ('{"__metadata__":{"x":"y","x":"z"},' + T + "}", 4, True),
    "metadata twice": ('{"__metadata__":{"x":"y"},"__metadata__":{"x":"y"},' + T + "}", 4, False),
    "metadata twice, last": ('{"__metadata__":{"x":"y"},' + T + ',"__metadata__":{}}', 4, False),
    "metadata twice, escaped": ('{"__metadata__":{"x":"y"},' + T + ',"__metadata\\u005f_":{}}', 4, False),
    "metadata number": ('{"__metadata__":{"x":1},' + T + "}", 4, False),
    "metadata nested": ('{"__metadata__":{"x":{}},' + T + "}", 4, False),
    "metadata list": ('{"__metadata__":[],' + T + "}", 4, False),
    "metadata with a trailing comma": ('{"__metadata__":{"x":"y",},' + T + "}", 4, False),
    "metadata without a comma": ('{"__metadata__":{"x":"y""z":"w"},' + T + "}", 4, False),
    "metadata escapes": ('{"__metadata__":{"x\\"":"\\\\\\":\\"\\u00e9\\ud83d\\ude00"},' + T + "}", 4, True),
    "metadata lone surrogate": ('{"__metadata__":{"x":"\\ud800"},' + T + "}", 4, False),
    "metadata only": ('{"__metadata__":{"x":"y"}}', 0, False),
    "comma and nothing": ('{"__metadata__":{"x":"y"},}', 4, False),
    "trailing comma": ("{" + T + ",}", 4, False),
    "no tensors": ("{}", 0, False),
    "no data": ('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}', 0, False),
    "empty tensor beside another": ('{"e":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},' + T + "}", 4, True),
    "empty tensor at the end": ("{" + T + ',"e":{"dtype":"U8","shape":[3,0],"data_offsets":[4,4]}}', 4, True),
    "tensor twice": ("{" + T + "," + T + "}", 4, False),
    "tensor twice, first no object": ('{"a":5,' + T + "}", 4, False),
    "tensor twice, first empty": ('{"a":{},' + T + "}", 4, False),
    "tensor twice, escaped": ("{" + T + "," + T.replace('"a"', '"\\u0061"') + "}", 4, False),
    "field twice": ('{"a":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}}', 4, False),
    "field twice, escaped": ('{"a":{"dtype":"U8","dt\\u0079pe":"U8","shape":[4],"data_offsets":[0,4]}}', 4, False),
    "field missing": ('{"a":{"dtype":"U8","shape":[4]}}', 4, False),
    "further field": ('{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"x":[{"y":null}]}}', 4, True),
    "further field, deep": (
        '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"x":' + "[" * 500 + "]" * 500 + "}}", 4, False,
    ),
    "colon in a name": ("{" + T.replace('"a"', '"a:b"') + "}", 4, True),
    "escape in a name": ("{" + T.replace('"a"', '"a\\n\\u0000"') + "}", 4, True),
    "raw newline in a name": ("{" + T.replace('"a"', '"a\n"') + "}", 4, False),
    "lone surrogate in a name": ("{" + T.replace('"a"', '"\\udc00"') + "}", 4, False),
    "field name as a tensor's name": ("{" + T.replace('"a"', '"data_offsets"') + "}", 4, True),
    "float offset": ('{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4.0]}}', 4, False),
    "float dimension": ('{"a":{"dtype":"U8","shape":[4.0],"data_offsets":[0,4]}}', 4, False),
    "float beside the same int": (
        '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4.0],"data_offsets":[4,8]}}',
        8, False,
    ),
    "true as a dimension": ('{"a":{"dtype":"U8","shape":[true],"data_offsets":[0,1]}}', 1, False),
    "minus zero": ('{"a":{"dtype":"U8","shape":[4],"data_offsets":[-0,4]}}', 4, False),
    "minus zero after a space": ('{"a":{"dtype":"U8","shape":[4],"data_offsets":[ -0,4]}}', 4, False),
    "negative dimensions": ('{"a":{"dtype":"U8","shape":[-2,-2],"data_offsets":[0,4]}}', 4, False),
    "exponent": ('{"a":{"dtype":"U8","shape":[4e0],"data_offsets":[0,4]}}', 4, False),
    "leading zero": ('{"a":{"dtype":"U8","shape":[04],"data_offsets":[0,4]}}', 4, False),
    "more than 64 bits": ('{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,18446744073709551617]}}', 4, False),
    "NaN": ('{"a":{"dtype":"U8","shape":[NaN],"data_offsets":[0,4]}}', 4, False),
    "three offsets": ('{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4,4]}}', 4, False),
    "offsets swapped": ('{"a":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}}', 4, False),
    "shape a string": ('{"a":{"dtype":"U8","shape":"4","data_offsets":[0,4]}}', 4, False),
    "shape an object": ('{"a":{"dtype":"U8","shape":{},"data_offsets":[0,1]}}', 1, False),
    "offsets an object": ('{"a":{"dtype":"U8","shape":[4],"data_offsets":{"0":0,"4":4}}}', 4, False),
    "unknown dtype": ('{"a":{"dtype":"u8","shape":[4],"data_offsets":[0,4]}}', 4, False),
    "dtype null": ('{"a":{"dtype":null,"shape":[4],"data_offsets":[0,4]}}', 4, False),
    "dtype a list": ('{"a":{"dtype":["U8"],"shape":[4],"data_offsets":[0,4]}}', 4, False),
    "half bytes": ('{"a":{"dtype":"F4","shape":[8],"data_offsets":[0,4]}}', 4, True),
    "half a byte too few": ('{"a":{"dtype":"F4","shape":[7],"data_offsets":[0,4]}}', 4, False),
    "wrong size": ('{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,4]}}', 4, False),
    "hole": ('{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}', 4, False),
    "overlap": ('{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}', 4, False),
    "hole at the start": ('{"a":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}}', 4, False),
    "bytes after the end": ("{" + T + "}", 5, False),
    "cut short": ("{" + T + "}", 3, False),
    "misaligned": ('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}', 5, True),
    "overflow before the zero": (
        '{"a":{"dtype":"U8","shape":[1099511627776,1099511627776,0],"data_offsets":[0,0]},' + B.replace("[4,8]", "[0,4]") + "}",
        4, False,
    ),
    "leading space": (" {" + T + "}", 4, False),
    "byte order mark": ("\ufeff{" + T + "}", 4, False),
    "trailing NUL": ("{" + T + "}\0", 4, False),
    "trailing text": ("{" + T + "}x", 4, False),
    "metadata, then text": ('{"__metadata__":{}}x', 4, False),
    "dimension of 2^63": (
        '{"a":{"dtype":"U8","shape":[9223372036854775808,0],"data_offsets":[0,0]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}',
        4, False,
    ),
    "1000 dimensions": ('{"a":{"dtype":"U8","shape":[' + "1," * 999 + '4],"data_offsets":[0,4]}}', 4, False),
    "8 dimensions": ('{"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,4],"data_offsets":[0,4]}}', 4, True),
    "9 dimensions": ('{"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,4],"data_offsets":[0,4]}}', 4, False),
    "name of 1024 bytes": ("{" + T.replace('"a"', '"' + "é" * 512 + '"') + "}", 4, True),
    "name of 1026 bytes": ("{" + T.replace('"a"', '"' + "é" * 513 + '"') + "}", 4, False),
    "a list": ("[]", 4, False),
    "a string": ('"x"', 4, False),
    "nothing": ("", 4, False),
    "a single quote": ("{'a':1}", 4, False),
    "unclosed": ("{" + T, 4, False),
    "a comment": ("{/**/" + T + "}", 4, False),
}  # fmt: skip


def ours(header: bytes, data: bytes) -> Header | None:
    try:
        return parse_header(bytearray(header), file_bytes=8 + len(header) + len(data), subject="x.safetensors")
    except FileRejected:
        return None


def reference_accepts(header: bytes, data: bytes) -> bool:
    try:
        deserialize(raw_file(header, data))  # type: ignore[no-untyped-call]
    except SafetensorError:
        return False
    return True


@pytest.mark.parametrize("case", HAND_MADE)
def test_hand_made_headers_are_judged_as_the_reference_does_or_stricter(case: str) -> None:
    text, size, accepted = HAND_MADE[case]
    header, data = text.encode(), bytes(size)
    assert (ours(header, data) is not None) == accepted
    if accepted:
        assert reference_accepts(header, data)


@pytest.mark.parametrize(
    "header", [b"{\xff}", b'{"__metadata__":{"x":"\xff"},' + T.encode() + b"}", T.encode("utf-16")]
)
def test_invalid_utf8_is_rejected(header: bytes) -> None:
    assert not reference_accepts(header, bytes(4))
    assert ours(header, bytes(4)) is None


def valid_header(tensors: int, metadata: bool, spaced: bool) -> tuple[bytes, bytes]:
    table: dict[str, Any] = (
        {"__metadata__": {"format": "pt", "tags": json.dumps({"a": {"b,:[]{}": 1}})}} if metadata else {}
    )
    position = 0
    for i, (dtype, size) in enumerate([("F16", 2), ("BF16", 2), ("U8", 1), ("F32", 4), ("I64", 8)][:tensors]):
        table[f"lora_unet_{i}.lora_down.weight"] = {
            "dtype": dtype,
            "shape": [i, 3] if i else [],
            "data_offsets": [position, position + size * (3 * i if i else 1)],
        }
        position += size * (3 * i if i else 1)
    text = json.dumps(table, separators=None if spaced else (",", ":"))
    return text.encode(), bytes(position)


FRAGMENTS = [b'"', b"{", b"}", b"[", b"]", b",", b":", b"-", b"0", b"9", b".", b"e", b" ", b"\\", b"\\u0061", b"null", b"true",
             b"\x00", b"\xff", b'"a":', b'"dtype":"F16",', b'"__metadata__":{},', b"{}", b"[]", b"1e5", b"\n", b'"x":"y"']  # fmt: skip


@st.composite
def mutants(draw: st.DrawFn) -> tuple[bytes, bytes]:
    header, data = valid_header(draw(st.integers(0, 5)), draw(st.booleans()), draw(st.booleans()))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(header)))
        stop = min(len(header), start + draw(st.integers(0, 12)))
        what = draw(st.integers(0, 3))
        if what == 0:
            header = header[:start] + header[stop:]
        elif what == 1:
            header = header[:start] + draw(st.sampled_from(FRAGMENTS)) + header[stop:]
        elif what == 2:
            header = header[:stop] + header[start:stop] + header[stop:]
        else:
            header = header[:start] + draw(st.sampled_from(FRAGMENTS)) + header[start:]
    return header, data


@settings(max_examples=1500, deadline=None)
@given(mutants())
def test_nothing_the_reference_rejects_is_accepted(mutant: tuple[bytes, bytes]) -> None:
    header, data = mutant
    parsed = ours(header, data)
    if parsed is not None:
        assert reference_accepts(header, data)


def test_thousands_of_random_edits_agree_with_the_reference() -> None:
    rng = random.Random(7)
    bases = [
        valid_header(n, metadata, spaced) for n in (1, 3, 5) for metadata in (True, False) for spaced in (True, False)
    ]
    accepted = 0
    for _ in range(6000):
        header, data = rng.choice(bases)
        edited = bytearray(header)
        for _ in range(rng.randint(1, 2)):
            at = rng.randrange(len(edited))
            if rng.random() < 0.5:
                edited[at : at + rng.randint(0, 2)] = rng.choice(FRAGMENTS)
            else:
                edited[at] = rng.choice(b'0123456789"{}[],:-. \\ae')
        mutant = bytes(edited)
        parsed = ours(mutant, data)
        if parsed is not None:
            accepted += 1
            assert reference_accepts(mutant, data), mutant
    assert accepted > 300


@pytest.mark.parametrize("spaced", [True, False])
def test_an_accepted_header_says_what_the_reference_reads(spaced: bool, tmp_path: Path) -> None:
    header, data = valid_header(5, True, spaced)
    parsed = ours(header, data)
    assert parsed is not None
    entries = deserialize(raw_file(header, data))  # type: ignore[no-untyped-call]
    read = {name: (info["dtype"], tuple(info["shape"])) for name, info in entries}
    names = {"float16": "F16", "bfloat16": "BF16", "uint8": "U8", "float32": "F32", "int64": "I64"}
    assert {info.name: (info.dtype, info.shape) for info in parsed.tensors} == {
        name: (names.get(dtype, dtype), shape) for name, (dtype, shape) in read.items()
    }
    assert dict(parsed.metadata) == {"format": "pt", "tags": '{"a": {"b,:[]{}": 1}}'}
