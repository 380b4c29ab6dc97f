"""``lwb export``: what a spreadsheet and a program get."""

from __future__ import annotations

from tests.cli.support import Lwb


def id_of(lwb: Lwb, text: str) -> str:
    [row] = lwb("search", text, "--json").json["results"]
    return str(row["stable_id"])


def test_csv_is_a_line_a_block(indexed: Lwb) -> None:
    answer = indexed("export", id_of(indexed, "film_grain_and_halation"))
    lines = answer.out.splitlines()
    assert (answer.code, lines[0], len(lines)) == (0, "block_index,weight,raw_strength", 39)
    assert [line.split(",")[0] for line in lines[1:]] == [str(index) for index in range(38)]
    assert max(line.split(",")[1] for line in lines[1:]) == "1.000000"


def test_json_names_the_blocks(indexed: Lwb) -> None:
    stable_id = id_of(indexed, "film_grain_and_halation")
    found = indexed("export", stable_id, "--format", "json").json
    shown = indexed("show", stable_id, "--json").json
    assert (found["stable_id"], found["block_layout"]) == (stable_id, "flux_transformer_38")
    assert [block["label"] for block in found["blocks"]][:2] == ["S00", "S01"]
    assert [block["raw_strength"] for block in found["blocks"]] == [b["raw_strength"] for b in shown["blocks"]]


def test_where_nothing_was_measured_there_is_nothing_to_export(indexed: Lwb) -> None:
    answer = indexed("export", id_of(indexed, "interrupted_download"))
    assert (answer.code, answer.out) == (7, "")
    assert "there is nothing to export" in answer.err


def test_an_unknown_id_and_an_unknown_format_are_refused(indexed: Lwb) -> None:
    assert indexed("export", "FLX-CLT-999").code == 7
    assert indexed("export", "FLX-CLT-999", "--format", "xml").code == 2
