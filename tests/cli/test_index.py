"""``lwb index``: its JSON, its exit codes, where its roots come from."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.cli.support import CLAY, COAT, Lwb


def test_json_has_exactly_the_promised_keys(lwb: Lwb, folder: Path) -> None:
    answer = lwb("index", folder, "--json")
    summary = answer.json
    assert answer.code == 0
    assert list(summary) == [
        "discovered", "added", "updated", "moved", "unchanged", "missing", "failed", "duplicates", "seconds", "errors",
    ]  # fmt: skip
    assert (summary["discovered"], summary["added"], summary["failed"], summary["duplicates"]) == (8, 7, 1, 1)
    assert [set(error) for error in summary["errors"]] == [{"path", "reason"}]
    assert summary["errors"][0]["path"].endswith("interrupted_download.safetensors")


def test_the_summary_and_every_problem_go_to_stderr(lwb: Lwb, folder: Path) -> None:
    answer = lwb("index", folder)
    lines = answer.err.splitlines()
    assert answer.out == ""
    assert lines[0].split() == [
        "found", "added", "updated", "moved", "unchanged", "missing", "failed", "duplicates",
    ]  # fmt: skip
    assert lines[1].split() == ["8", "7", "0", "0", "0", "0", "1", "1"]
    assert lines[3].count("interrupted_download.safetensors") == 1


def test_a_second_run_finds_nothing_to_do_and_uses_the_saved_roots(indexed: Lwb) -> None:
    summary = indexed("index", "--json").json
    assert (summary["unchanged"] + summary["failed"], summary["added"]) == (8, 0)


def test_strict_turns_a_bad_file_into_exit_code_1(lwb: Lwb, folder: Path) -> None:
    assert lwb("index", folder, "--strict").code == 1


def test_an_absent_root_exits_with_1_and_the_others_are_indexed(lwb: Lwb, folder: Path, tmp_path: Path) -> None:
    answer = lwb("index", folder, tmp_path / "unplugged", "--json")
    assert answer.code == 1
    assert answer.json["added"] == 7
    assert any(error["path"].endswith("unplugged") for error in answer.json["errors"])


def test_without_any_root_it_is_a_usage_error(lwb: Lwb) -> None:
    answer = lwb("index")
    assert answer.code == 2
    assert answer.err == "error: Name a folder to index: the library has no saved roots yet.\n"


def test_an_unknown_engine_is_a_usage_error(lwb: Lwb, folder: Path) -> None:
    assert lwb("index", folder, "--engine", "abacus").code == 2


def test_roots_come_from_comfyuis_file_too(lwb: Lwb, folder: Path, tmp_path: Path) -> None:
    listed = tmp_path / "extra_model_paths.yaml"
    listed.write_text(f"comfyui:\n  base_path: {folder.parent.as_posix()}\n  loras: loras\n", encoding="utf-8")
    assert lwb("index", "--comfyui", listed, "--json").json["discovered"] == 8


def test_a_conventions_file_changes_what_folders_mean(lwb: Lwb, folder: Path, tmp_path: Path) -> None:
    conventions = tmp_path / "mine.toml"
    conventions.write_text('[[rule]]\nglob = "FLUX/08 - Clothing/**"\ncategory = "NAT"\n', encoding="utf-8")
    lwb("index", folder, "--conventions", conventions)
    assert lwb("search", "--category", "NAT", "--json").json["total"] == 3


def test_a_root_that_is_suddenly_empty_is_skipped_unless_told_otherwise(lwb: Lwb, folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "mine"
    (root / COAT).parent.mkdir(parents=True)
    shutil.copy(folder / COAT, root / COAT)
    assert lwb("index", root).code == 0
    (root / COAT).unlink()
    assert lwb("index", root).code == 1
    assert lwb("search", "--json").json["total"] == 1
    assert lwb("index", root, "--allow-empty").code == 0
    assert lwb("search", "--json").json["total"] == 0


def test_full_reads_everything_again(indexed: Lwb, folder: Path) -> None:
    summary = indexed("index", folder, "--full", "--json").json
    assert (summary["discovered"], summary["added"]) == (8, 0)


def test_a_first_look_lists_by_headers_and_the_next_run_measures(lwb: Lwb, folder: Path) -> None:
    assert lwb("index", folder, "--headers-only", "--json").json["added"] == 7
    rows = lwb("search", "--json").json["results"]
    assert {row["pending"] for row in rows if row["error"] is None} == {True}
    assert {row["lora_name"]: row["block_layout"] for row in rows}[COAT] == "flux_unet_57"
    assert lwb("index", "--json").json["updated"] == 7
    assert not any(row["pending"] for row in lwb("search", "--json").json["results"])
    assert lwb("index", folder, "--headers-only", "--full").code == 2


def test_several_workers_give_the_same_ids(lwb: Lwb, folder: Path, tmp_path: Path) -> None:
    ids = []
    for jobs in ("1", "2"):
        database = tmp_path / f"{jobs}.db"
        assert lwb("index", folder, "--jobs", jobs, "--db", database).code == 0
        rows = lwb("search", "--json", "--db", database).json["results"]
        ids.append({row["lora_name"]: row["stable_id"] for row in rows})
    assert ids[0] == ids[1]
    assert ids[0][CLAY] == "W21-STL-001"
