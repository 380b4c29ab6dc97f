"""Opening, reading and hashing of files that may be anything."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from safetensors.numpy import save_file

from lora_weights_builder.errors import FileRejected
from lora_weights_builder.inspector import header as header_module
from lora_weights_builder.inspector.tensor_file import TensorFile, content_hash, file_hashes, read_header
from tests.inspector.lora_files import raw_file, write

ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def many_tensors(count: int) -> bytes:
    table = {f"{i}": {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i in range(count)}
    return raw_file(table, bytes(count))


def rejection(path: Path) -> FileRejected:
    with pytest.raises(FileRejected) as caught:
        read_header(path)
    assert str(path) in caught.value.message
    assert caught.value.subject == str(path)
    return caught.value


def test_a_header_is_read_with_its_metadata_in_the_order_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"b": np.ones((2, 3), "f4"), "a": np.ones(4, "f2")}, path, metadata={"ss_tag": '{"x": 1}'})
    header = read_header(path)
    assert [(info.name, info.dtype, info.shape, info.start, info.end) for info in header.tensors] == [
        ("b", "F32", (2, 3), 0, 24),
        ("a", "F16", (4,), 24, 32),
    ]
    assert dict(header.metadata) == {"ss_tag": '{"x": 1}'}
    assert (header.data_bytes, header.file_bytes, header.warnings) == (32, path.stat().st_size, ())


def test_a_duplicate_metadata_key_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(raw_file(f'{{"__metadata__":{{"x":"1","x":"2"}},"t":{json.dumps(ENTRY)}}}', bytes(8)))
    header = read_header(path)
    assert dict(header.metadata) == {"x": "2"}
    assert header.warnings[0].startswith("duplicate_metadata: ")


def test_a_huge_metadata_value_is_cut_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(raw_file({"__metadata__": {"x": "y" * 20_000_000}, "t": ENTRY}, bytes(8)))
    header = read_header(path)
    assert len(header.metadata["x"]) == 1048576
    assert header.warnings[0].startswith("metadata_cut: ")


FOREIGN: dict[str, tuple[bytes, str]] = {
    "pickle": (pickle.dumps({"a": list(range(999))}, protocol=4), "pickle"),
    "old pickle": (pickle.dumps({"a": list(range(999))}, protocol=2), "pickle"),
    "gguf": (b"GGUF\x03\x00\x00\x00" + bytes(100), "GGUF"),
    "web page": (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
    "indented page": (b"\n  <html><body>404</body></html>", "web page"),
    "json": (b'{"error": "Unauthorized, please log in"}', "JSON"),
    "lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "LFS"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_other_formats_are_refused_by_content(tmp_path: Path, case: str) -> None:
    content, word = FOREIGN[case]
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    refused = rejection(path)
    assert refused.code == "not_safetensors"
    assert word in refused.message


def test_a_torch_archive_is_refused_by_content(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    refused = rejection(path)
    assert refused.code == "not_safetensors"
    assert "never unpickled" in refused.message


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"\x01\x02", "bad_header"),
        (bytes(8), "bad_header"),
        (bytes(400), "bad_header"),
        ((99).to_bytes(8, "little") + b"{}", "bad_header"),
        ((2**63).to_bytes(8, "little") + b"{" + bytes(50), "bad_header"),
        (raw_file("{}"), "no_tensors"),
        (raw_file({"__metadata__": {"a": "b"}}), "no_tensors"),
        (raw_file({"a": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}), "no_tensors"),
        (raw_file({"a": ENTRY}, bytes(7)), "bad_header"),
        (raw_file({"a": ENTRY}, bytes(9)), "bad_header"),
        (raw_file({"a" * 1025: ENTRY}, bytes(8)), "name_too_long"),
        (many_tensors(50_001), "too_many_tensors"),
    ],
)  # fmt: skip
def test_damaged_files_have_a_code(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    assert rejection(path).code == code


def test_50000_tensors_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(many_tensors(50_000))
    assert len(read_header(path).tensors) == 50_000


def test_a_header_over_the_cap_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        file.write((40 * 2**20).to_bytes(8, "little") + b"{")
        file.truncate(2**43)  # a sparse file of 8 TB
    assert rejection(path).code == "header_too_large"


CAP = 31 * 2**20
HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty lists": lambda: b'{"a":[' + b"[]," * (CAP // 3) + b"[]]}",
    "empty objects": lambda: b'{"a":[' + b"{}," * (CAP // 3) + b"{}]}",
    "numbers": lambda: b'{"a":{"dtype":"U8","shape":[' + b"1," * (CAP // 2) + b'1],"data_offsets":[0,4]}}',
    "nesting": lambda: b'{"a":' + b"[" * (CAP // 2) + b"]" * (CAP // 2) + b"}",
    "nested metadata": lambda: b'{"__metadata__":' + b'{"a":' * (CAP // 6) + b"1" + b"}" * (CAP // 6) + b"}",
    "metadata of tiny entries": lambda: b'{"__metadata__":{' + b'"a":"",' * 90_000 + b'"t":"' + b" " * CAP + b'"}}',
    "one metadata key": lambda: b'{"__metadata__":{' + b'"":"",' * (CAP // 6) + b'"":""}}',
    "quotes": lambda: b'{"__metadata__":{"a":"' + b'\\"' * (CAP // 2) + b'"},"t":' + json.dumps(ENTRY).encode() + b"}",
    "unclosed string": lambda: b'{"__metadata__":{"a":"' + b"\\" * CAP + b"}",
    "small headers, many lists": lambda: b'{"__metadata__":[' + b"[]," * (4 * 2**20 // 3 - 50) + b"[]]}",
    "small headers, many objects": lambda: b'{"\\u0061":[' + b"{}," * (4 * 2**20 // 3 - 50) + b"{}]}",
    "spaces": lambda: b"{" + b" " * CAP + b'"a":' + json.dumps(ENTRY).encode() + b"}",
}


MEASURE_HOSTILE = """
import json, resource, sys, time
from pathlib import Path
from lora_weights_builder.errors import FileRejected
from lora_weights_builder.inspector.tensor_file import read_header

seconds, codes = {}, {}
for path in map(Path, sys.argv[1:]):
    started = time.process_time()
    try:
        read_header(path)
    except FileRejected as refused:
        codes[path.name] = refused.code
    seconds[path.name] = time.process_time() - started
status = Path("/proc/self/status")
if status.exists():  # ru_maxrss begins with the peak of the process that started this one
    kilobytes = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
else:
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)
print(json.dumps({"seconds": seconds, "codes": codes, "kilobytes": kilobytes}))
"""


def test_hostile_headers_cost_little_time_and_memory(tmp_path: Path) -> None:
    # In a process of its own, because the peak of this one is that of all tests.
    for case, content in HOSTILE.items():
        (tmp_path / case).write_bytes(raw_file(content(), bytes(8)))
    command = [sys.executable, "-c", MEASURE_HOSTILE, *map(str, sorted(tmp_path.iterdir()))]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert set(answer["codes"]) == set(HOSTILE) - {"quotes", "spaces"}
    assert set(answer["codes"].values()) == {"bad_header"}
    assert max(answer["seconds"].values()) < 1.0
    assert answer["kilobytes"] < 200_000


def test_folders_pipes_and_absent_files_are_refused_without_hanging(tmp_path: Path) -> None:
    (tmp_path / "d.safetensors").mkdir()
    assert rejection(tmp_path / "d.safetensors").code == "not_a_file"
    assert rejection(tmp_path / "none.safetensors").code == "not_found"
    assert rejection(tmp_path / "nul\0.safetensors").code == "io_error"
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "p.safetensors")
        assert rejection(tmp_path / "p.safetensors").code == "not_a_file"


def test_links_are_followed_to_regular_files_only(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", {"t": np.ones(3)})
    (tmp_path / "link.safetensors").symlink_to(path)
    (tmp_path / "loop.safetensors").symlink_to(tmp_path / "loop.safetensors")
    (tmp_path / "dangling.safetensors").symlink_to(tmp_path / "none")
    assert read_header(tmp_path / "link.safetensors") == read_header(path)
    assert rejection(tmp_path / "loop.safetensors").code == "io_error"
    assert rejection(tmp_path / "dangling.safetensors").code == "not_found"


def test_a_file_that_shrinks_or_grows_while_open_is_reported(tmp_path: Path) -> None:
    for change in ("shrink", "grow", "touch"):
        path = write(tmp_path / f"{change}.safetensors", {"t": np.ones(3000)})
        with TensorFile.open(path) as file:
            if change == "shrink":
                os.truncate(path, 500)
                with pytest.raises(FileRejected) as caught:
                    file.read_tensor(file.header.tensors[0])
                assert caught.value.code == "changed_during_scan"
            elif change == "grow":
                with path.open("ab") as other:
                    other.write(b"more")
            else:
                os.utime(path, ns=(1, 1))
            with pytest.raises(FileRejected) as caught:
                file.check_unchanged()
            assert caught.value.code == "changed_during_scan"


def test_without_positioned_reads_the_same_bytes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.safetensors", {"t": np.arange(300_000), "u": np.arange(7)})
    expected = content_hash(path)
    hashes = file_hashes(path)
    monkeypatch.delattr(os, "preadv")
    assert content_hash(path) == expected
    assert file_hashes(path) == hashes
    with TensorFile.open(path) as file:
        assert file.read_tensor(file.header.tensors[1]).tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_a_closed_file_says_so(tmp_path: Path) -> None:
    with TensorFile.open(write(tmp_path / "a.safetensors", {"t": np.ones(3)})) as file:
        pass
    with pytest.raises(ValueError, match="closed"):
        file.read_bytes(0, 4)
    file.close()


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2", "I8", "I32", "U8", "BOOL"])
def test_tensors_are_read_in_their_shape(tmp_path: Path, dtype: str) -> None:
    values = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    with TensorFile.open(write(tmp_path / "a.safetensors", {"pad": np.ones(1), "t": values}, dtype)) as file:
        read = file.read_tensor(file.header.tensors[1])
    assert read.dtype == np.float64
    assert read.tolist() == values.tolist()


def test_the_content_hash_knows_tensors_and_not_metadata(tmp_path: Path) -> None:
    def hash_of(name: str, tensors: dict[str, np.ndarray], **options: object) -> str:
        return content_hash(write(tmp_path / name, tensors, **options))[1]  # type: ignore[arg-type]

    plain = hash_of("a", {"t": np.ones((2, 3))})
    assert plain == hash_of("b", {"t": np.ones((2, 3))}, metadata={"ss_x": "y"})
    others = {
        hash_of("c", {"t": np.ones((3, 2))}),
        hash_of("d", {"u": np.ones((2, 3))}),
        hash_of("e", {"t": np.zeros((2, 3))}),
        hash_of("f", {"t": np.zeros((2, 3))}, dtype="I32"),
    }
    assert len(others | {plain}) == 5


def test_the_content_hash_stays_what_it_was(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", {"t": np.ones((2, 3))}, "F16")
    header, digest = content_hash(path)
    table = blake3(b'[[["t","F16",[2,3]]],12]')
    assert header.table_hash == table.hexdigest()
    assert digest == blake3(table.digest() + np.ones(6, "f2").tobytes()).hexdigest()


def test_whole_file_hashes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", {"t": np.arange(400_000)}, metadata={"a": "b"})
    content = path.read_bytes()
    hashes = file_hashes(path)
    assert hashes.sha256 == hashlib.sha256(content).hexdigest()
    assert hashes.blake3 == blake3(content).hexdigest()
    assert hashes.autov3 == hashlib.sha256(content[read_header(path).data_start :]).hexdigest()[:12]


def test_files_of_one_table_share_their_parsed_tensors(tmp_path: Path) -> None:
    one = read_header(write(tmp_path / "a", {"t": np.ones(3)}, metadata={"x": "1"}))
    two = read_header(write(tmp_path / "b", {"t": np.zeros(3)}, metadata={"x": "22"}))
    assert one.tensors is two.tensors
    assert one.metadata != two.metadata


def test_the_cache_of_tables_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = header_module._TableCache(1000)
    monkeypatch.setattr(header_module, "_TABLES", cache)
    for i in range(100):
        read_header(write(tmp_path / "a", {f"t{i}": np.ones(3)}))
    assert len(cache._tables) < 20


def test_an_unreadable_file_is_permission_denied(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", {"t": np.ones(3)})
    path.chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:
        os.seteuid(65534)  # root may read everything
    try:
        refused = rejection(path)
    finally:
        if root:
            os.seteuid(0)
    assert refused.code == "permission_denied"
