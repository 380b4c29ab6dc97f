"""The document that clients are generated from: exact answers, one error shape, no surprises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from lora_weights_builder.api import (
    block_schemas,
    check_schemas,
    combine_schemas,
    compare_schemas,
    organise_schemas,
    profile_schemas,
    registry_schemas,
    schemas,
    sidecar_schemas,
)
from lora_weights_builder.api.base_schema import ApiModel
from lora_weights_builder.api.server import openapi_document
from lora_weights_builder.records import SortKey

REPOSITORY = Path(__file__).resolve().parents[2]
STREAMS_AND_FILES = {
    "/api/lora/index_events": {"text/event-stream"},
    "/api/lora/{stable_id}/export": {"text/csv"},
    "/api/lora/{stable_id}/preview": {"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"},
}

OWN_ERROR = ("/api/lora/combine", "400")  # says how far it came
SENT = {"ProfileBody", "ProfileChange", "Selection", "LoraSettings", "CombinedProfileBody"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi_document()


def _operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, one) for path, methods in document["paths"].items() for method, one in methods.items()]


def test_the_promised_addresses_are_all_there(document: dict[str, Any]) -> None:
    assert {f"{method.upper()} {path}" for path, method, _ in _operations(document)} >= {
        "GET /health",
        "GET /api/lora/search",
        "GET /api/lora/catalog",
        "GET /api/lora/{stable_id}",
        "GET /api/lora/{stable_id}/blocks",
        "GET /api/lora/{stable_id}/modules",
        "GET /api/lora/{stable_id}/export",
        "GET /api/lora/{stable_id}/profiles",
        "POST /api/lora/{stable_id}/profiles",
        "PUT /api/lora/{stable_id}/profiles/{profile_id}",
        "DELETE /api/lora/{stable_id}/profiles/{profile_id}",
        "POST /api/lora/combine",
        "GET /api/lora/combined-profiles",
        "POST /api/lora/combined-profile",
        "GET /api/lora/combined-profile/{profile_id}",
        "GET /api/lora/combined-profile/by-name/{name}",
        "GET /api/lora/{stable_id}/preview",
        "POST /api/lora/reindex_all",
        "POST /api/lora/reindex_one/{stable_id}",
        "GET /api/lora/index_status",
        "GET /api/lora/index_events",
        "POST /api/lora/index_stop",
        "GET /api/compare",
        "GET /api/checks",
        "GET /api/checks/duplicates",
        "GET /api/checks/contradictions",
        "POST /api/lora/{stable_id}/forget",
        "PATCH /api/lora/{stable_id}",
        "POST /api/lora/organise",
        "GET /api/choices",
        "GET /api/searches",
        "POST /api/searches",
        "DELETE /api/searches/{search_id}",
        "GET /api/layouts",
        "GET /api/layouts/{layout_id}",
        "GET /api/architectures",
        "GET /api/model-families",
    }


def test_every_answer_has_a_model_or_is_a_file(document: dict[str, Any]) -> None:
    for path, method, operation in _operations(document):
        for status, answer in operation["responses"].items():
            if not status.startswith("2"):
                continue
            kinds = set(answer["content"])
            if path in STREAMS_AND_FILES:
                assert kinds == STREAMS_AND_FILES[path]
            else:
                assert kinds == {"application/json"}, (path, method)
                assert answer["content"]["application/json"]["schema"]["$ref"].startswith("#/components/schemas/")


def test_every_error_of_every_route_is_documented_with_the_one_shape(document: dict[str, Any]) -> None:
    for path, method, operation in _operations(document):
        errors = {status: one for status, one in operation["responses"].items() if int(status) >= 400}
        assert {"400", "401", "403", "404", "405", "413", "415", "422", "500", "503"} <= set(errors), (path, method)
        for status, one in errors.items():
            if (path, status) == OWN_ERROR:
                continue
            assert one == {"$ref": f"#/components/responses/Error{status}"}
    for answer in document["components"]["responses"].values():
        assert answer["content"] == {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_field_of_an_answer_is_required_and_no_other_is_allowed(document: dict[str, Any]) -> None:
    bodies = {
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for _, _, operation in _operations(document)
        if "requestBody" in operation
    }
    assert bodies >= {"OrganiseRequest", "OrganiseManyRequest", "SearchRequest"}
    for name, schema in document["components"]["schemas"].items():
        if name in SENT:  # clients may send fields of their own
            continue
        assert schema["additionalProperties"] is False, name
        assert name in bodies or set(schema["required"]) == set(schema["properties"]), name


def test_operations_have_plain_unique_names(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in _operations(document)]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)


def test_no_route_takes_a_path_of_the_file_system(document: dict[str, Any]) -> None:
    for path, _, operation in _operations(document):
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        assert not names & {"path", "file", "file_path", "root", "folder", "directory"}, path


def test_examples_fit_their_own_models() -> None:
    checked = 0
    rooms = (
        schemas, block_schemas, check_schemas, combine_schemas, compare_schemas, organise_schemas, profile_schemas,
        registry_schemas, sidecar_schemas,
    )  # fmt: skip
    for model in {name: one for room in rooms for name, one in vars(room).items()}.values():
        if isinstance(model, type) and issubclass(model, ApiModel):
            extra = model.model_config.get("json_schema_extra")
            for example in extra["examples"] if isinstance(extra, dict) else []:  # type: ignore[union-attr]
                model.model_validate(example)
                checked += 1
    assert checked >= 12


def test_sorting_offers_each_key_of_the_library_both_ways() -> None:
    keys = set(get_args(SortKey))
    assert set(get_args(schemas.DirectedSortKey)) == keys | {f"-{key}" for key in keys}


def test_the_exported_file_is_the_same_every_time_and_up_to_date(tmp_path: Path, document: dict[str, Any]) -> None:
    script = REPOSITORY / "scripts" / "export_openapi.py"
    subprocess.run([sys.executable, str(script), str(tmp_path / "openapi.json")], check=True, cwd=tmp_path)
    exported = (tmp_path / "openapi.json").read_text(encoding="utf-8")
    assert exported == json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert exported == (REPOSITORY / "ui" / "openapi.json").read_text(encoding="utf-8")
