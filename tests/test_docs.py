"""The documents say what the code does."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import tomllib
from pathlib import Path

import pytest

from lora_weights_builder import errors

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "src" / "lora_weights_builder"
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "Database/**/*.md")
    for path in ROOT.glob(pattern)
)  # fmt: skip
ERRORS_PAGE = (ROOT / "docs" / "errors.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def table_rows(text: str) -> list[list[str]]:
    """The cells of every Markdown table row that is not a ruler."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows if not set("".join(row)) <= set("-| ")]


def test_every_error_class_is_listed_with_its_code_exit_code_and_status() -> None:
    classes = [value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, errors.LwbError)]
    listed = {row[3]: (row[0], row[1], row[2].split("`")[1]) for row in table_rows(ERRORS_PAGE) if len(row) == 5}
    listed.pop("class")
    codes: dict[type[errors.LwbError], str] = {errors.FileRejected: "unreadable"}  # an instance's, not the class's
    assert listed == {
        f"`{each.__name__}`": (str(each.exit_code), str(each.http_status), codes.get(each, each.code))
        for each in classes
    }


def test_every_reason_that_the_code_records_for_a_file_is_listed() -> None:
    used = {"unreadable"}
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            # _Fault(sentence, code) is how the header parser says it before it knows the file's name.
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            given = node.args[1:2] if name == "_Fault" else []
            given += [each.value for each in node.keywords if each.arg == "error_code"]
            given += [each.value for each in node.keywords if each.arg == "code" and name == "FileRejected"]
            used |= {each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    listed = {row[0].strip("`") for row in table_rows(ERRORS_PAGE) if len(row) == 2} - {"error_code"}
    assert used == listed


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text("utf-8"))
    missing = [
        target for target in targets if "://" not in target and not (document.parent / target).resolve().exists()
    ]
    assert missing == []


def test_every_command_the_documents_show_exists() -> None:
    import typer.main

    from lora_weights_builder.cli.main import app

    commands = set(getattr(typer.main.get_command(app), "commands"))  # noqa: B009 - not in the static type
    shown = {
        name
        for document in DOCUMENTS
        for name in re.findall(r"(?:^|[`;] ?|-from \S+ )lwb ([a-z][a-z-]*)", document.read_text("utf-8"), re.MULTILINE)
    }
    assert shown >= {"serve", "index", "inspect", "check"}
    assert shown <= commands


def test_the_automatic_check_runs_the_readmes_test_command() -> None:
    command = "python3 dev.py test"
    assert f"\n{command}\n" in (ROOT / "README.md").read_text("utf-8")
    script = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert script[-1] == f"exec {command}"


@pytest.mark.parametrize("name", ["runtime", "dev", "tools", "node"])
def test_requirement_files_are_hashed_and_hold_no_address(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    assert not re.search(r"://|^--(?!hash)|^-[a-z] ", text, re.MULTILINE)
    entries = re.findall(r"^[A-Za-z0-9][^\n]*\n(?:    --hash=sha256:[0-9a-f]{64}[ \\]*\n)+", text, re.MULTILINE)
    assert len(entries) == len(re.findall(r"^[A-Za-z0-9]", text, re.MULTILINE)) > 0


def test_requirement_files_pin_every_declared_dependency() -> None:
    def normal(requirement: str) -> str:
        return re.split(r"[<>=!~ \[;]", requirement)[0].lower().replace("_", "-")

    def pinned(name: str) -> set[str]:
        text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
        return set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))

    groups = PROJECT["dependency-groups"]
    runtime = {normal(each) for each in (*PROJECT["project"]["dependencies"], *groups["build"])}
    dev = runtime | {normal(each) for each in (*groups["test"], *groups["lint"])}
    assert runtime - pinned("runtime") == set()
    assert dev - pinned("dev") == set()


def test_every_declared_dependency_is_imported_and_every_import_declared() -> None:
    imported = {
        name.partition(".")[0]
        for path in SOURCES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0
            else []
        )
    }  # fmt: skip
    third_party = imported - set(sys.stdlib_module_names) - {"lora_weights_builder", ""}
    modules = {"pyyaml": "yaml"}
    declared = {re.split(r"[<>=\[]", each)[0] for each in PROJECT["project"]["dependencies"]}
    assert third_party == {modules.get(each, each) for each in declared}


def test_the_interface_lock_file_holds_no_address() -> None:
    text = (ROOT / "ui" / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in text
