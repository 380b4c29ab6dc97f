"""What is taken from other programs' files, and what strangers' files cannot do."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_weights_builder.library import sidecar_files
from lora_weights_builder.library.sidecar_files import merge
from lora_weights_builder.records import Sidecar, SidecarFacts, SidecarFile

HASH = "7E" * 32
VERSION: dict[str, Any] = {
    "id": 5678,
    "modelId": 1234,
    "name": "v2",
    "description": "<p>Long &amp; short.</p><p>Use <b>0.8</b></p>",
    "trainedWords": ["long coat, ", "long coat", "coat"],
    "baseModel": "Flux.1 D",
    "model": {"name": "Coats", "tags": ["clothing", "coat"], "description": "<p>All coats</p>"},
    "files": [{"hashes": {"AutoV2": "7E7E7E7E7E", "SHA256": HASH}}],
}
FROM_VERSION = SidecarFacts(
    trigger_words=("long coat", "coat"),
    base_model="Flux.1 D",
    model_name="Coats",
    model_id=1234,
    version_name="v2",
    version_id=5678,
    description="Long & short.\n\nUse 0.8",
    tags=("clothing", "coat"),
    sha256="7e" * 32,
)


def read(tmp_path: Path, data: object, kind: str = "civitai") -> sidecar_files.SidecarRead:
    path = tmp_path / "coat.json"
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    return sidecar_files.read(str(path), kind)


def test_a_saved_model_version(tmp_path: Path) -> None:
    assert read(tmp_path, VERSION).facts == FROM_VERSION
    assert read(tmp_path, b"\xef\xbb\xbf" + json.dumps(VERSION).encode()).facts == FROM_VERSION
    assert read(tmp_path, VERSION, "user").facts == FROM_VERSION


def test_lora_managers_own_words_go_before_those_it_was_sent(tmp_path: Path) -> None:
    own = {"model_name": "My coats", "base_model": "Flux.1 S", "tags": ["mine"], "sha256": "ab" * 32}
    facts = read(tmp_path, {**own, "civitai": VERSION, "preview_url": "/etc/passwd"}, "lora_manager").facts
    assert facts is not None
    assert (facts.model_name, facts.base_model, facts.tags, facts.sha256) == (
        "My coats",
        "Flux.1 S",
        ("mine",),
        "ab" * 32,
    )
    assert (facts.model_id, facts.version_id, facts.trigger_words) == (1234, 5678, ("long coat", "coat"))


def test_stability_matrix(tmp_path: Path) -> None:
    data = {
        "ModelId": 1234,
        "ModelName": "Coats",
        "ModelDescription": "<p>All coats</p>",
        "VersionId": 5678,
        "VersionName": "v2",
        "VersionDescription": None,
        "BaseModel": "Flux.1 D",
        "Tags": ["clothing"],
        "TrainedWords": ["coat"],
        "Hashes": {"SHA256": HASH},
    }
    assert read(tmp_path, data, "stability_matrix").facts == SidecarFacts(
        ("coat",), "Flux.1 D", "Coats", 1234, "v2", 5678, "All coats", ("clothing",), "7e" * 32
    )


def test_what_a_person_typed_keeps_its_commas(tmp_path: Path) -> None:
    data = {
        "description": "mine",
        "sd version": "SDXL",
        "activation text": "(long coat, red:1.2), buttons",
        "notes": "n",
    }
    assert read(tmp_path, data, "user").facts == SidecarFacts(
        ("(long coat, red:1.2), buttons",), "SDXL", description="mine"
    )
    assert read(tmp_path, {"sd version": "Unknown", "activation text": ""}, "user").facts == SidecarFacts()


def test_json_of_other_programs_says_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, {"description": "a training run", "network_dim": 16}, "user").facts == SidecarFacts()
    assert merge([("user", "coat.json", None, SidecarFacts())], None) is None


@pytest.mark.parametrize(
    "wrong",
    [None, True, 1.5, -1, 0, 1 << 63, [], {}, ["x", 1], {"name": 1}, [[["deep"]]], "", "\x00\n", float("1e300")],
)
def test_values_of_wrong_types_are_left_out(tmp_path: Path, wrong: object) -> None:
    data = dict.fromkeys([*VERSION, "model_name", "base_model", "tags", "sha256", "civitai", "sd version"], wrong)
    for kind in ("civitai", "lora_manager", "stability_matrix", "user"):
        facts = read(tmp_path, data, kind).facts
        assert facts is not None
        assert (facts.model_id, facts.version_id, facts.sha256) == (None, None, None)
        assert facts.model_name is facts.base_model is facts.version_name is facts.description is None
        assert set(facts.tags) | set(facts.trigger_words) <= {"x"}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "it is not valid JSON"),
        (b"[" * 200_000, "it is not valid JSON"),
        (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "it is not valid JSON"),
        (b'{"name": "\xff\xfe"}', "it is not valid JSON"),
        (b'{"name": NaN}', "it is not valid JSON"),
        (b"[1]", "its JSON is no object"),
        (b'"' + b"x" * (4 << 20) + b'"', "it is larger than 4 MB"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, data: bytes, problem: str) -> None:
    found = read(tmp_path, data)
    assert found.facts is None
    assert not found.try_again
    assert (found.problem or "").startswith(problem)
    assert len(found.problem or "") < 200


def test_what_is_no_plain_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    assert sidecar_files.read(str(tmp_path / "folder.json"), "user").facts is None
    gone = sidecar_files.read(str(tmp_path / "gone.json"), "user")
    assert (gone.problem, gone.try_again) == ("no such file or directory", True)


def test_a_pipe_in_its_place_does_not_hang(tmp_path: Path) -> None:
    if hasattr(os, "mkfifo"):  # Windows has none
        os.mkfifo(tmp_path / "pipe.json")
        assert sidecar_files.read(str(tmp_path / "pipe.json"), "user").problem == "it is no plain file"


def test_long_values_are_cut(tmp_path: Path) -> None:
    data = {
        "name": "n" * 10_000,
        "trainedWords": ["w" * 10_000, *map(str, range(500))],
        "description": "<p>" + "d" * 200_000,
        "model": {"tags": ["t" * 10_000]},
    }
    facts = read(tmp_path, data).facts
    assert facts is not None
    assert len(facts.version_name or "") == 500
    assert [len(word) for word in facts.trigger_words[:2]] == [2_000, 1]
    assert len(facts.trigger_words) == 100
    assert len(facts.description or "") == 10_000
    assert [len(tag) for tag in facts.tags] == [500]


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("plain\ntext < 5 & more", "plain\ntext < 5 & more"),
        ("a<br>b<br/>c<BR />d", "a\nb\nc\nd"),
        ("x<script>alert(1)</script>y<style>p{}</style>z", "xyz"),
        ("<script>never closed", None),
        ('<img src="x" onerror="alert(1)">seen', "seen"),
        ("<!-- hidden -->seen<![CDATA[x]]>", "seen"),
        ("&lt;script&gt;1&lt;/script&gt;", "<script>1</script>"),
        ("<ul><li>one</li><li>two</li></ul>", "one\n\ntwo"),
    ],
)
def test_descriptions_become_plain_text(tmp_path: Path, page: str, text: str | None) -> None:
    facts = read(tmp_path, {"description": page}).facts
    assert facts is not None
    assert facts.description == text


@given(st.text(alphabet="<>!/&;-[]ab script\x00\ud800\n", max_size=200))
def test_no_page_breaks_the_reader(page: str) -> None:
    text = sidecar_files._plain(page)
    assert text is None or "\x00" not in text


@pytest.mark.parametrize(
    "part", ["<", "<a", "<a ", "</", "<!--", "<script>", "</script ", "&", "&#", "\n", "<![", "<p>"]
)
def test_the_cost_of_a_hostile_page_is_small(part: str) -> None:
    began = time.perf_counter()
    sidecar_files._plain(part * (1_000_000 // len(part)))
    assert time.perf_counter() - began < 1


def test_each_fact_is_from_the_most_trusted_file_and_a_page_from_one() -> None:
    typed = SidecarFacts(trigger_words=("mine",), base_model="SDXL")
    manager = SidecarFacts(model_name="My coats", trigger_words=("theirs",))
    both = [("civitai", "c.civitai.info", None, FROM_VERSION), ("lora_manager", "c.metadata.json", None, manager)]
    merged = merge([*both, ("user", "c.json", None, typed)], None)
    assert merged is not None
    assert merged.facts == SidecarFacts(
        trigger_words=("mine",),
        base_model="SDXL",
        model_name="My coats",
        description="Long & short.\n\nUse 0.8",
        tags=("clothing", "coat"),
    )
    assert merged.said_by == {
        "trigger_words": "c.json",
        "base_model": "c.json",
        "model_name": "c.metadata.json",
        "description": "c.civitai.info",
        "tags": "c.civitai.info",
    }
    assert [file.name for file in merged.files] == ["c.json", "c.metadata.json", "c.civitai.info"]


def test_a_claimed_hash_is_compared_with_the_files_own() -> None:
    def matches(own: str | None) -> bool | None:
        merged = merge([("civitai", "c", None, FROM_VERSION)], own)
        assert merged is not None
        return merged.sha256_matches

    assert (matches(None), matches("7e" * 32), matches("7f" * 32)) == (None, True, False)


def test_a_file_with_a_problem_is_told_of() -> None:
    assert merge([("civitai", "c.civitai.info", "permission denied", None)], None) == Sidecar(
        SidecarFacts(), {}, (SidecarFile("c.civitai.info", "Civitai Helper", "permission denied"),)
    )
