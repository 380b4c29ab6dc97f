"""Paths as storable text and back."""

from __future__ import annotations

import os
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_weights_builder.library import paths


@given(st.text(st.characters(exclude_characters="\0")))  # lone surrogates included, as Windows allows
def test_storable_text_is_valid_and_comes_back_exactly(name: str) -> None:
    text = paths.to_text(name)
    text.encode()
    assert paths.to_os(text) == name


# A name as bytes: any on POSIX, those of some text on Windows.
RAW_NAMES = st.binary() if os.name == "posix" else st.text(st.characters(exclude_characters="\0")).map(os.fsencode)


@given(RAW_NAMES.filter(lambda raw: b"\0" not in raw))
def test_names_of_any_bytes_come_back_exactly(raw: bytes) -> None:
    text = paths.to_text(raw)
    assert os.fsencode(paths.to_os(text)) == raw
    assert paths.sort_key(text) == raw


@given(st.text(), st.text())
def test_storable_forms_differ_where_names_differ(one: str, other: str) -> None:
    assert (paths.to_text(one) == paths.to_text(other)) == (one == other)


def test_ordinary_names_are_stored_as_they_are() -> None:
    assert paths.to_text("Ümläut 🙂 'x'\n.safetensors") == "Ümläut 🙂 'x'\n.safetensors"
    assert paths.to_text(b"caf\xe9") == "caf\x1ae9"


def test_display_shows_what_would_act_on_a_terminal() -> None:
    shown = paths.display(paths.to_text("a\nb\x1b[31m \u202e \udcff 🙂"))
    assert shown == "a\\nb\\x1b[31m \\u202e \\xff 🙂"


def test_relative_forms_of_both_platforms_are_posix() -> None:
    assert paths.relative_posix("/r/FLUX/a.s", "/r", PurePosixPath) == "FLUX/a.s"
    assert paths.relative_posix("/r/back\\slash.s", "/r", PurePosixPath) == "back\\slash.s"
    assert paths.relative_posix(r"C:\r\FLUX\a.s", r"c:\R", PureWindowsPath) == "FLUX/a.s"
    assert paths.relative_posix(r"\\nas\share\r\a.s", r"\\nas\share\r", PureWindowsPath) == "a.s"
    with pytest.raises(ValueError, match="not in the subpath"):
        paths.relative_posix("/rest/a.s", "/r", PurePosixPath)


def test_below_is_the_inverse() -> None:
    assert paths.below(r"C:\r", "FLUX/a.s", PureWindowsPath) == r"C:\r\FLUX\a.s"
    assert paths.below("/r", "FLUX/back\\slash.s", PurePosixPath) == "/r/FLUX/back\\slash.s"


def test_lora_names_have_the_separator_that_comfyui_shows_there() -> None:
    assert paths.lora_name("FLUX/a.s", PureWindowsPath) == r"FLUX\a.s"
    assert paths.lora_name("FLUX/a\\b.s", PurePosixPath) == "FLUX/a\\b.s"


@pytest.mark.parametrize(
    ("given_path", "expected"),
    [
        ("c:\\loras\\", "C:\\loras"),
        ("\\\\?\\C:\\loras", "C:\\loras"),
        ("\\\\?\\UNC\\nas\\share\\loras", "\\\\nas\\share\\loras"),
        ("C:/Loras/x", "C:\\Loras\\x"),
    ],
)
def test_windows_roots_have_one_spelling(given_path: str, expected: str) -> None:
    assert paths.normalise(given_path, PureWindowsPath) == expected


def test_inside_is_told_part_by_part() -> None:
    assert paths.is_inside("/a/b/c", "/a/b", PurePosixPath)
    assert not paths.is_inside("/a/bc", "/a/b", PurePosixPath)
    assert paths.is_inside(r"c:\A\b", r"C:\a", PureWindowsPath)
