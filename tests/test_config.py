"""Settings: arguments before environment before defaults, and what is refused."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_weights_builder.config import Settings, default_jobs, load_settings
from lora_weights_builder.errors import ConfigError


def test_defaults_listen_on_this_machine_only_and_keep_the_catalogue_in_the_data_folder() -> None:
    settings = load_settings({})
    data = Path(platformdirs.user_data_dir("lora-weights-builder", appauthor=False))
    assert settings.database == str(data / "lora_master.db")
    assert settings.conventions.name == "conventions.toml"
    assert (settings.host, settings.port, settings.token) == ("127.0.0.1", 5001, None)
    assert 1 <= settings.jobs <= 8
    assert not settings.listens_beyond_this_machine


def test_environment_is_read() -> None:
    settings = load_settings(
        {
            "LWB_DB": "postgresql+psycopg://me@db/loras",
            "LWB_CONVENTIONS": "/etc/lwb.toml",
            "LWB_JOBS": "3",
            "LWB_HOST": "0.0.0.0",
            "LWB_PORT": "8080",
            "LWB_TOKEN": "s3cret",
        }
    )
    assert settings == Settings(
        database="postgresql+psycopg://me@db/loras",
        conventions=Path("/etc/lwb.toml"),
        jobs=3,
        host="0.0.0.0",
        port=8080,
        token="s3cret",
    )
    assert settings.listens_beyond_this_machine


def test_arguments_win_over_the_environment() -> None:
    settings = load_settings({"LWB_DB": "a.db", "LWB_PORT": "nonsense"}, database=Path("b.db"), port=0)
    assert (settings.database, settings.port) == ("b.db", 0)


def test_an_empty_value_counts_as_absent() -> None:
    assert load_settings({"LWB_PORT": "", "LWB_TOKEN": "  ", "LWB_DB": ""}) == load_settings({})


def test_a_database_path_starts_from_the_home_folder_where_it_says_so() -> None:
    assert load_settings({}, database="~/loras.db").database == str(Path.home() / "loras.db")


@pytest.mark.parametrize("port", ["http", "-1", "65536", "5001.0", "1_000", "+5", "\u0665"])
def test_a_bad_port_is_named_with_its_value_and_the_range(port: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"LWB_PORT": port})
    assert str(caught.value) == f"LWB_PORT is {port!r}; it must be a whole number from 0 to 65535."
    assert (caught.value.subject, caught.value.exit_code) == ("LWB_PORT", 4)


@pytest.mark.parametrize("jobs", [0, -2, 257])
def test_a_bad_number_of_jobs_is_refused(jobs: int) -> None:
    with pytest.raises(ConfigError, match=r"jobs is .* from 1 to 256"):
        load_settings({}, jobs=jobs)


@pytest.mark.parametrize("host", ["http://0.0.0.0", "a/b", "two words"])
def test_a_host_with_scheme_path_or_space_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="bare host name"):
        load_settings({"LWB_HOST": host})


def test_brackets_around_an_ipv6_address_are_dropped() -> None:
    settings = load_settings({}, host="[::1]")
    assert settings.host == "::1"
    assert not settings.listens_beyond_this_machine


def test_a_token_that_no_header_can_carry_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"LWB_TOKEN": "gehe im"})
    assert "gehe" not in str(caught.value)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_settings({}).port = 1  # type: ignore[misc]


def test_jobs_do_without_the_affinity_that_macos_and_windows_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert default_jobs() == 1
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert default_jobs() == 8


@given(st.text())
def test_any_text_as_a_port_is_a_port_or_a_config_error(text: str) -> None:
    try:
        port = load_settings({"LWB_PORT": text}).port
    except ConfigError:
        return
    assert 0 <= port <= 65535
