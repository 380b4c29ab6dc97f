"""What a run finds beside the files, when it reads it again, and what stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lora_weights_builder.library import sidecar_files
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.indexer import IndexOptions
from lora_weights_builder.library.reread import reread
from lora_weights_builder.records import LoraDetail, SearchQuery, SidecarFacts, SidecarFile
from tests.library import stand_in
from tests.library.library_files import RunIndex, dump, ids_by_path, write_lora

TABLES = ("lora_sidecar", "lora_preview")


@pytest.fixture
def coat(library: Path) -> Path:
    """A LoRA with an image and one sidecar."""
    path = write_lora(library / "08 - Clothing" / "coat.safetensors", "coat")
    path.with_suffix(".preview.png").write_bytes(b"\x89PNG")
    write_info(path, "Long Coats")
    return path


def write_info(lora: Path, name: str) -> Path:
    path = lora.with_suffix(".civitai.info")
    path.write_text(json.dumps({"model": {"name": name}, "trainedWords": ["trenchcoat"]}), encoding="utf-8")
    return path


def only(catalog: Catalog) -> LoraDetail:
    """The library's only entry that is present."""
    [stable_id] = ids_by_path(catalog).values()
    detail = catalog.detail(stable_id)
    assert detail is not None
    return detail


def facts(catalog: Catalog) -> SidecarFacts:
    sidecar = only(catalog).sidecar
    assert sidecar is not None
    return sidecar.facts


def found(catalog: Catalog, text: str) -> int:
    return len(catalog.search(SearchQuery(text=text, state="any")).rows)


def stored(catalog: Catalog) -> list[list[tuple[object, ...]]]:
    with catalog.database.reading() as connection:
        return [[tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}")] for table in TABLES]


def test_an_entry_has_what_lies_beside_its_file(catalog: Catalog, coat: Path, run: RunIndex) -> None:
    assert run().errors == ()
    detail = only(catalog)
    assert detail.preview == "coat.preview.png"
    assert detail.sidecar is not None
    assert detail.sidecar.facts == SidecarFacts(trigger_words=("trenchcoat",), model_name="Long Coats")
    assert detail.sidecar.said_by == {"trigger_words": "coat.civitai.info", "model_name": "coat.civitai.info"}
    assert detail.sidecar.files == (SidecarFile("coat.civitai.info", "Civitai Helper", None),)
    assert detail.row.trigger_words == ()


def test_names_and_trigger_words_of_sidecars_are_searched(catalog: Catalog, coat: Path, run: RunIndex) -> None:
    run()
    assert (found(catalog, "long coats"), found(catalog, "trenchcoat")) == (1, 1)
    write_lora(coat, "another content")
    run()
    assert only(catalog).row.revision == 2
    assert found(catalog, "trenchcoat") == 1
    run(full=True)
    assert found(catalog, "trenchcoat") == 1
    coat.with_suffix(".civitai.info").unlink()
    run()
    assert found(catalog, "trenchcoat") == 0
    assert found(catalog, "coat.safetensors") == 1


def test_words_are_still_found_when_the_data_is_read_in_a_later_run(
    catalog: Catalog, coat: Path, run: RunIndex
) -> None:
    run(headers_only=True)
    assert found(catalog, "trenchcoat") == 1
    run()
    assert not only(catalog).row.pending
    assert found(catalog, "trenchcoat") == 1


def test_an_unchanged_library_opens_no_sidecar_and_writes_nothing(
    catalog: Catalog, coat: Path, run: RunIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    before = (dump(catalog), stored(catalog))
    opened: list[str] = []
    whole = sidecar_files.read_bounded

    def noted(path: str, limit: int) -> bytes:
        opened.append(path)
        return whole(path, limit)

    monkeypatch.setattr(sidecar_files, "read_bounded", noted)
    assert run().unchanged == 1
    assert opened == []
    assert (dump(catalog), stored(catalog)) == before
    write_info(coat, "Short Coats")
    assert run().unchanged == 1
    assert [Path(path).name for path in opened] == ["coat.civitai.info"]
    assert facts(catalog).model_name == "Short Coats"


def test_reading_one_entry_again_reads_what_lies_beside_it(catalog: Catalog, coat: Path, run: RunIndex) -> None:
    write_lora(coat.with_name("coat.preview.safetensors"), "another")
    run()
    stable_id = ids_by_path(catalog)["08 - Clothing/coat.safetensors"]
    write_info(coat, "Short Coats")
    coat.with_suffix(".webp").write_bytes(b"")
    again = reread(catalog, stable_id, options=IndexOptions(inspector=stand_in.inspect))
    assert (again.discovered, again.updated) == (1, 1)
    detail = catalog.detail(stable_id)
    assert detail is not None
    assert detail.sidecar is not None
    # The other image is of the LoRA that is called `coat.preview`.
    assert (detail.preview, detail.sidecar.facts.model_name) == ("coat.webp", "Short Coats")


def test_what_is_gone_is_no_longer_shown(catalog: Catalog, coat: Path, run: RunIndex) -> None:
    run()
    coat.with_suffix(".preview.png").rename(coat.with_suffix(".png"))
    run()
    assert only(catalog).preview == "coat.png"
    coat.with_suffix(".png").unlink()
    coat.with_suffix(".civitai.info").unlink()
    run()
    assert (only(catalog).preview, only(catalog).sidecar) == (None, None)
    assert stored(catalog) == [[], []]


def test_it_goes_along_with_a_move_and_stays_behind_without_it(catalog: Catalog, coat: Path, run: RunIndex) -> None:
    run()
    stable_id = only(catalog).row.stable_id
    moved = coat.parent / "deep"
    moved.mkdir()
    for file in coat.parent.glob("coat.*"):
        file.rename(moved / file.name)
    assert run().moved == 1
    assert (only(catalog).row.stable_id, only(catalog).preview) == (stable_id, "coat.preview.png")
    assert facts(catalog).model_name == "Long Coats"
    (moved / coat.name).rename(coat)
    assert run().moved == 1
    assert (only(catalog).row.stable_id, only(catalog).preview, only(catalog).sidecar) == (stable_id, None, None)
    assert found(catalog, "trenchcoat") == 0


def test_a_missing_entry_keeps_what_was_known_until_it_is_forgotten(
    catalog: Catalog, coat: Path, run: RunIndex
) -> None:
    write_lora(coat.with_name("hat.safetensors"), "hat")
    run()
    stable_id = ids_by_path(catalog)["08 - Clothing/coat.safetensors"]
    coat.unlink()
    run()
    detail = catalog.detail(stable_id)
    assert detail is not None
    assert detail.sidecar is not None
    catalog.forget(stable_id)
    assert stored(catalog) == [[], []]


def test_a_bad_sidecar_is_told_of_at_its_entry_and_stops_nothing(catalog: Catalog, coat: Path, run: RunIndex) -> None:
    coat.with_suffix(".civitai.info").write_bytes(b'{"a":' * 100_000)
    coat.with_suffix(".json").mkdir()
    summary = run()
    assert (summary.errors, summary.added) == ((), 1)
    sidecar = only(catalog).sidecar
    assert sidecar is not None
    [file] = sidecar.files
    assert file.name == "coat.civitai.info"
    assert (file.problem or "").startswith("it is not valid JSON")


def test_hostile_text_is_kept_as_text(catalog: Catalog, coat: Path, run: RunIndex) -> None:
    name = '<img src=x onerror="alert(1)">\x00\x1b[31m\ud800 O\'; DROP TABLE lora;--'
    coat.with_suffix(".civitai.info").write_text(json.dumps({"model": {"name": name}}), encoding="utf-8")
    run()
    # A lone surrogate is refused with the file that holds it.
    assert only(catalog).sidecar is not None
    coat.with_suffix(".civitai.info").write_text(
        json.dumps({"model": {"name": name.replace("\ud800", "")}}), encoding="utf-8"
    )
    run()
    assert facts(catalog).model_name == '<img src=x onerror="alert(1)"> [31m O\'; DROP TABLE lora;--'
    assert found(catalog, 'onerror="alert(1)"') == 1


@pytest.mark.parametrize("name", ["coat.png", "coat.json"])
def test_a_link_is_followed_into_the_library_only(
    catalog: Catalog, library: Path, tmp_path: Path, run: RunIndex, name: str
) -> None:
    lora = write_lora(library / "coat.safetensors", "coat")
    inside, outside = library / "pictures" / name, tmp_path / name
    inside.parent.mkdir()
    for file in (inside, outside):
        file.write_text(json.dumps({"activation text": "coat"}), encoding="utf-8")
    try:
        (library / name).symlink_to(outside)
    except OSError:  # Windows lets few people make links
        return
    run()
    assert (only(catalog).preview, only(catalog).sidecar) == (None, None)
    (library / name).unlink()
    (library / name).symlink_to(inside)
    run()
    assert lora.exists()
    assert (only(catalog).preview is not None) == (name == "coat.png")
    assert (only(catalog).sidecar is not None) == (name == "coat.json")
