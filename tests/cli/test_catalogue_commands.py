"""``search``, ``show``, ``check``, ``ids``, ``roots``, ``forget``, ``hash``, ``layouts`` over a real catalogue."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import blake3
import pytest

from lora_weights_builder.demo.library_writer import file_bytes, plan
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.conventions import load_conventions
from lora_weights_builder.library.organise import Change
from tests.cli.support import CHALK, COAT, COAT_COPY, TRUNCATED, Lwb

HEALTHY = """\
[CHECK] Flux rows with null block_layout
  value=0
  PASS

[CHECK] Duplicate stable_id groups
  value=0
  PASS
"""


class TestSearch:
    def test_text_is_literal(self, indexed: Lwb) -> None:
        assert indexed("search", "wax%", "--json").json["total"] == 0
        assert indexed("search", "WAXED_cotton", "--json").json["total"] == 2

    def test_filters_narrow_it(self, indexed: Lwb) -> None:
        found = indexed("search", "--base", "FLX", "--category", "CLT", "--adapter", "lokr", "--json").json
        assert [row["lora_name"] for row in found["results"]] == [COAT_COPY, COAT]
        assert found["results"][1]["block_layout"] == "flux_unet_57"
        assert len(found["results"][0]["weights"]) == 57
        assert (found["count"], found["total"], found["limit"], found["offset"]) == (2, 2, 50, 0)

    def test_what_a_person_said_is_searched_for(self, indexed: Lwb, tmp_path: Path) -> None:
        with Catalog.open(tmp_path / "lora_master.db") as catalog:
            catalog.organise(["SD1-STL-001"], Change(favourite=True, add_tags=("Winter",)), load_conventions())
        for options in (("--tag", "winter"), ("--favourite",), ("--tag", "WINTER", "--no-favourite")):
            found = indexed("search", *options, "--json").json["results"]
            assert [row["stable_id"] for row in found] == (["SD1-STL-001"] if len(options) < 3 else [])
        assert indexed("search", "--rank-min", "100000", "--json").json["total"] == 0

    def test_a_line_tells_what_is_wrong_with_an_entry(self, indexed: Lwb) -> None:
        line = indexed("search", "interrupted").out
        assert "flux_fallback_16" in line
        assert "[failed: the file is cut short" in line
        assert "[duplicate of FLX-CLT-00" in indexed("search", "waxed").out

    def test_an_unknown_sort_is_a_usage_error(self, indexed: Lwb) -> None:
        assert indexed("search", "--sort", "colour").code == 2
        assert indexed("search", "--state", "lost").code == 2


class TestShow:
    def test_json_shares_its_names_with_inspect(self, indexed: Lwb, folder: Path) -> None:
        inspected = indexed("inspect", "--json", folder / CHALK).json
        shown = indexed("show", "SD1-STL-001", "--json").json
        for name in set(inspected) - {"measured", "table_hash"}:
            assert shown[name] == inspected[name], name
        assert [event["kind"] for event in shown["history"]] == ["added"]

    def test_what_lies_beside_the_file_is_shown_with_its_source(self, lwb: Lwb, folder: Path, tmp_path: Path) -> None:
        library = tmp_path / "loras"
        chalk = library / CHALK
        chalk.parent.mkdir(parents=True)
        chalk.write_bytes((folder / CHALK).read_bytes())
        chalk.with_suffix(".png").write_bytes(b"")
        info = {"modelId": 12, "model": {"name": "Chalk\u202e\x1b[31m"}, "baseModel": "Imaginary 1"}
        chalk.with_suffix(".civitai.info").write_text(json.dumps(info), encoding="utf-8")
        chalk.with_suffix(".metadata.json").write_text("[", encoding="utf-8")
        assert lwb("index", library).code == 0
        source = f"{chalk.stem}.civitai.info"
        out = lwb("show", "SD1-STL-001").out.splitlines()
        assert f"  preview       {chalk.stem}.png" in out
        assert f"  called        Chalk\\u202e [31m [12] (says {source})" in out
        assert f"  claimed base  Imaginary 1 (says {source})" in out
        assert any(line.startswith(f"  not read      {chalk.stem}.metadata.json: it is not valid JSON") for line in out)
        shown = lwb("show", "SD1-STL-001", "--json").json
        assert shown["preview"] == f"{chalk.stem}.png"
        assert shown["sidecar"]["facts"]["base_model"] == "Imaginary 1"
        assert shown["sidecar"]["said_by"]["base_model"] == source

    def test_modules_are_those_of_inspect(self, indexed: Lwb, folder: Path) -> None:
        inspected = indexed("inspect", "--json", "--modules", folder / CHALK).json
        shown = indexed("show", "SD1-STL-001", "--json", "--modules").json
        assert shown["modules"] == inspected["modules"] != []
        tables = [
            indexed(*command, "--modules").out for command in (("inspect", folder / CHALK), ("show", "SD1-STL-001"))
        ]
        assert len({text[text.index("  block  module") :].partition("\n  path")[0].rstrip() for text in tables}) == 1

    def test_an_entry_that_an_older_version_measured_says_how_to_learn_more(self, indexed: Lwb, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "lora_master.db")) as connection:
            connection.execute("DELETE FROM lora_module_facts")
            connection.execute("UPDATE lora SET rank_90 = NULL, rank_95 = NULL, rank_99 = NULL")
            connection.commit()
        assert "`lwb index --full` reads it again" in indexed("show", "SD1-STL-001").out
        shown = indexed("show", "SD1-STL-001", "--json").json
        assert (shown["energy_rank"], shown["parameters"], shown["blocks"][24]["modules"]) == (None, None, None)

    def test_the_chart_is_that_of_inspect(self, indexed: Lwb, folder: Path) -> None:
        inspected = indexed("inspect", folder / CHALK).out.splitlines()
        shown = indexed("show", "SD1-STL-001").out.splitlines()
        assert shown[0] == "SD1-STL-001  pastel_chalk_v1.safetensors"
        assert [line for line in inspected[1:] if line not in shown] == []
        assert f"  path          {folder / CHALK}" in shown

    def test_the_halves_of_a_pair_name_each_other(self, lwb: Lwb, tmp_path: Path) -> None:
        planned = {Path(file.path).name: file for file in plan()}
        for half in ("high", "low"):
            name = f"wan22_orbit_shot_{half}_noise.safetensors"
            place = tmp_path / "loras" / "WAN2.2" / "I2V" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file_bytes(planned[name]))
        assert lwb("index", tmp_path / "loras").code == 0
        shown = lwb("show", "W22-UNC-001", "--json").json
        assert (shown["pair"], shown["pair_id"]) == (
            {"stable_id": "W22-UNC-002", "noise": "low-noise"}, "W22-UNC-002"
        )  # fmt: skip
        assert (shown["variant"], shown["base_model_evidence"]) == ("2.2 high-noise i2v", "folder")
        assert "  other half    W22-UNC-001 (high-noise)" in lwb("show", "W22-UNC-002").out.splitlines()
        assert [row["pair_id"] for row in lwb("search", "orbit", "--json").json["results"]] == [
            "W22-UNC-002", "W22-UNC-001"
        ]  # fmt: skip


class TestCheck:
    def test_a_healthy_catalogue_prints_exactly_this_first(self, indexed: Lwb) -> None:
        answer = indexed("check")
        assert answer.code == 0
        assert answer.out.startswith(HEALTHY)
        assert "FAIL" not in answer.out
        for block in answer.out.removesuffix("\n").split("\n\n"):
            title, value, verdict = block.split("\n")
            assert title.startswith("[CHECK] ")
            assert (value, verdict) == ("  value=0", "  PASS")

    def test_a_flux_row_without_layout_fails(self, indexed: Lwb, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "lora_master.db")) as connection:
            for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {trigger}")
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute("UPDATE lora SET block_layout = NULL WHERE stable_id = 'FLX-UTL-001'")
            connection.commit()
        answer = indexed("check")
        assert answer.code == 1
        assert answer.out.startswith("[CHECK] Flux rows with null block_layout\n  value=1\n  FAIL\n\n")
        assert "FLX-UTL-001" in answer.err
        assert [result["passed"] for result in indexed("check", "--json").json][:2] == [False, True]

    def test_no_database_is_no_pass(self, lwb: Lwb) -> None:
        answer = lwb("check")
        assert answer.code == 5
        assert "PASS" not in answer.out

    def test_deep_finds_content_that_changed_behind_the_catalogues_back(
        self, lwb: Lwb, folder: Path, tmp_path: Path
    ) -> None:
        path = tmp_path / "mine" / CHALK
        path.parent.mkdir(parents=True)
        shutil.copy(folder / CHALK, path)
        lwb("index", tmp_path / "mine")
        assert lwb("check", "--deep").code == 0
        content = bytearray(path.read_bytes())
        content[-3] ^= 0x3F
        path.write_bytes(content)
        assert lwb("check").code == 0
        assert lwb("check", "--deep").code == 1


class TestIds:
    def test_a_rebuilt_catalogue_gives_the_same_ids(self, indexed: Lwb, folder: Path, tmp_path: Path) -> None:
        ledger, rebuilt = tmp_path / "ids.jsonl", tmp_path / "rebuilt.db"
        before = {row["lora_name"]: row["stable_id"] for row in indexed("search", "--json").json["results"]}
        assert indexed("ids", "export", ledger).err == "8 ids exported.\n"
        assert len([json.loads(line) for line in ledger.read_text("utf-8").splitlines()]) == 8
        assert indexed("ids", "import", ledger, "--db", rebuilt).err == "8 new ids taken in.\n"
        indexed("index", folder, "--db", rebuilt)
        rows = indexed("search", "--json", "--db", rebuilt).json["results"]
        assert {row["lora_name"]: row["stable_id"] for row in rows} == before

    def test_a_dash_is_stdout(self, indexed: Lwb) -> None:
        assert len(indexed("ids", "export", "-").json_lines) == 8

    def test_a_broken_ledger_is_refused_whole(self, indexed: Lwb, tmp_path: Path) -> None:
        (tmp_path / "ids.jsonl").write_text("{\n", encoding="utf-8")
        assert indexed("ids", "import", tmp_path / "ids.jsonl").code == 2
        assert indexed("ids", "import", tmp_path / "absent.jsonl").code == 2


class TestRoots:
    def test_added_listed_removed(self, lwb: Lwb, folder: Path) -> None:
        assert lwb("roots", "add", folder).code == 0
        assert [(root["path"], root["entries"]) for root in lwb("roots", "list", "--json").json] == [(str(folder), 0)]
        assert str(folder) in lwb("roots").out
        assert lwb("roots", "remove", folder).code == 0
        assert lwb("roots", "list", "--json").json == []

    def test_a_root_that_is_no_folder_is_refused(self, lwb: Lwb, tmp_path: Path) -> None:
        assert lwb("roots", "add", tmp_path / "absent").code == 2


def test_forget_takes_missing_entries_only(indexed: Lwb, folder: Path) -> None:
    assert indexed("forget", "SD1-STL-001").code == 8
    indexed("roots", "remove", folder)
    assert indexed("forget", "SD1-STL-001").code == 0
    assert indexed("show", "SD1-STL-001").code == 7
    assert indexed("forget", "SD1-STL-001").code == 7


def test_hash_gives_the_hashes_of_model_sites(lwb: Lwb, folder: Path) -> None:
    content = (folder / CHALK).read_bytes()
    answer = lwb("hash", "--json", folder / CHALK, folder / "absent.safetensors")
    assert answer.code == 1
    hashes = answer.json
    assert hashes["sha256"] == hashlib.sha256(content).hexdigest()
    assert hashes["blake3"] == blake3.blake3(content).hexdigest()
    header = int.from_bytes(content[:8], "little")
    assert hashes["autov3"] == hashlib.sha256(content[8 + header :]).hexdigest()[:12]
    assert hashes["sha256"] in lwb("hash", folder / TRUNCATED, folder / CHALK).out


def test_layouts_are_the_registrys(lwb: Lwb) -> None:
    listed = {layout["id"]: layout for layout in lwb("layouts", "--json").json}
    flux = listed["flux_unet_57"]
    assert flux["block_count"] == 57
    assert [(group["abbreviation"], group["start"], group["count"]) for group in flux["groups"]] == [
        ("D", 0, 19), ("S", 19, 38),
    ]  # fmt: skip
    assert (flux["labels"][7], flux["labels"][31]) == ("D07", "S12")
    assert not any(layout["legacy"] for layout in listed.values())
    table = lwb("layouts").out.splitlines()
    assert table[0].split() == ["LAYOUT", "BLOCKS", "GROUPS", "ARCHITECTURES"]
    assert any(line.split()[:4] == ["flux_unet_57", "57", "D", "19,"] for line in table)


@pytest.mark.parametrize("command", ["search", "show SD1-STL-001", "check", "roots list", "layouts", "inspect"])
def test_json_on_stdout_is_pure(indexed: Lwb, folder: Path, command: str) -> None:
    files = [folder / CHALK] if command == "inspect" else []
    answer = indexed(*command.split(), *files, "--json")
    assert answer.code == 0
    assert answer.json is not None
    assert answer.out.isascii()
    assert answer.out.count("\n") == 1
