"""What a user may not read or write. POSIX only (see ``conftest.py``): chmod stops nobody elsewhere.

Nothing stops root, so a test that runs as root gives its rights up in a process of its own; any other user is stopped
as it is, and goes the same way for the rest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.indexer import IndexOptions, index
from lora_weights_builder.records import SearchQuery
from tests.library import stand_in
from tests.library.library_files import RunIndex, write_lora

REPOSITORY = Path(__file__).resolve().parents[2]
NOBODY = 65534

# Everything is loaded before the rights are gone, because that user may not see where Python is installed.
HEAD = """
import os, sys, json, sqlalchemy.dialects.sqlite.pysqlite
import lora_weights_builder.library.indexer as indexer
from lora_weights_builder.library.catalog import Catalog
from tests.library import stand_in
stand_in.registry()
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
"""


def without_rights(script: str, *arguments: object) -> str:
    """What the script prints when a user runs it whom ``chmod`` stops."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), *filter(None, sys.path)])}
    command = [sys.executable, "-c", HEAD + script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def reachable(tmp_path: Path) -> Path:
    """The test's folder, which that user can get to and, until told otherwise, write in."""
    if os.geteuid() == 0:
        for folder in [tmp_path, *tmp_path.parents[:3]]:
            folder.chmod(folder.stat().st_mode | 0o755)
    return tmp_path


def hand_over(*paths: Path) -> None:
    """Make that user the owner."""
    for path in paths if os.geteuid() == 0 else ():
        os.chown(path, NOBODY, NOBODY)


def test_what_may_not_be_read_keeps_its_row_marked_stale(
    reachable: Path, library: Path, catalog: Catalog, run: RunIndex
) -> None:
    locked = write_lora(library / "locked.safetensors", "locked")
    deep = write_lora(library / "folder/deep.safetensors", "deep")
    write_lora(library / "open.safetensors", "open")
    run()
    rows = {row.filename: row for row in catalog.iterate(SearchQuery())}
    catalog.close()
    hand_over(reachable, *reachable.glob("lora_master.db*"))
    new = write_lora(library / "new.safetensors", "new")
    for path in (locked, deep.parent, new):
        path.chmod(0)
    script = (
        "run = lambda: indexer.index(Catalog.open(sys.argv[2]), [sys.argv[1]],"
        " options=indexer.IndexOptions(inspector=stand_in.inspect))\n"
        "print(json.dumps([run().to_json(), run().to_json()]))"
    )
    try:
        first, second = json.loads(without_rights(script, library, catalog.path))
    finally:
        for path in (locked, new):
            path.chmod(0o644)
        deep.parent.chmod(0o755)
    assert (first["unchanged"], first["failed"], first["missing"], first["discovered"]) == (1, 2, 0, 3)
    reasons = {Path(error["path"]).name: error["reason"] for error in first["errors"]}
    assert reasons.keys() == {"locked.safetensors", "folder", "new.safetensors"}
    assert all("ermission" in reason for reason in reasons.values())
    first.pop("seconds")
    second.pop("seconds")
    assert second == first
    with Catalog.open(catalog.path) as again:
        for name in ("locked.safetensors", "deep.safetensors"):
            row = again.get(rows[name].stable_id)
            assert row is not None
            assert (row.stale, row.state, row.content_hash, row.weights) == (
                True, "present", rows[name].content_hash, rows[name].weights,
            )  # fmt: skip
        summary = index(again, [library], options=IndexOptions(inspector=stand_in.inspect))
        assert (summary.failed, summary.missing, summary.unchanged + summary.updated) == (0, 0, 4)
        assert [row.stale for row in again.iterate(SearchQuery())] == [False] * 4


def test_a_catalogue_in_a_folder_that_cannot_be_written_is_served(
    reachable: Path, library: Path, catalog: Catalog, run: RunIndex
) -> None:
    write_lora(library / "a.safetensors", "a")
    run()
    place = reachable / "ro"
    place.mkdir()
    catalog.backup(place / "served.db")
    place.chmod(0o555)
    try:
        out = without_rights(
            "c = Catalog.open(sys.argv[1]); print(c.read_only, c.summary().total_loras)", place / "served.db"
        )
    finally:
        place.chmod(0o755)
    assert out == "True 1\n"


def test_a_sidecar_that_may_not_be_read_is_told_of_and_read_once_it_may(reachable: Path, catalog: Catalog) -> None:
    info = write_lora(reachable / "library" / "coat.safetensors", "coat").with_suffix(".civitai.info")
    info.write_text(json.dumps({"model": {"name": "Long Coats"}}), encoding="utf-8")
    info.chmod(0)
    catalog.close()
    hand_over(reachable, info, *reachable.glob("lora_master.db*"))
    script = (
        "catalog = Catalog.open(sys.argv[2])\n"
        "def run():\n"
        "    indexer.index(catalog, [sys.argv[1]], options=indexer.IndexOptions(inspector=stand_in.inspect))\n"
        "    sidecar = catalog.detail('UNK-UNC-001').sidecar\n"
        "    return [sidecar.facts.model_name, sidecar.files[0].problem]\n"
        "before = run()\n"
        "os.chmod(sys.argv[3], 0o644)\n"
        "print(json.dumps([before, run()]))"
    )
    printed = without_rights(script, info.parent, catalog.path, info)
    assert json.loads(printed) == [[None, "permission denied"], ["Long Coats", None]]
