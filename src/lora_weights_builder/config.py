"""Settings: where the catalogue is, how many workers, how the server listens.

The only module that reads the environment; every other room is handed a :class:`Settings`. What does not belong here:
folder conventions themselves (``library/folders.py`` reads the file named here) and the library's roots, which live in
the database.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

from lora_weights_builder.errors import ConfigError

APP_NAME: Final = "lora-weights-builder"
DATABASE_NAME: Final = "lora_master.db"
CONVENTIONS_NAME: Final = "conventions.toml"
DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 5001
MAX_JOBS: Final = 256
MAX_DEFAULT_JOBS: Final = 8  # inspection is bound by memory bandwidth and disk well before more workers pay
UI_DIRECTORY: Final = Path(__file__).resolve().parent / "ui_dist"
"""Where the build hook puts the built web interface; absent in a checkout whose UI was never built."""

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be configured from outside.

    ``database`` is a SQLAlchemy URL or a file path, as given. ``conventions`` is the TOML file with folder
    conventions; it need not exist. ``jobs`` is the number of inspection workers (at least 1). ``token`` is what
    clients must present, ``None`` where the server asks for none. ``ui_directory`` holds the built web interface.
    """

    database: str
    conventions: Path
    jobs: int
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    token: str | None = None
    ui_directory: Path = UI_DIRECTORY

    @property
    def listens_beyond_this_machine(self) -> bool:
        """Whether other machines could reach the server, so that it must not run without a token."""
        return self.host not in _LOOPBACK


def load_settings(
    env: Mapping[str, str] | None = None,
    *,
    database: str | os.PathLike[str] | None = None,
    conventions: str | os.PathLike[str] | None = None,
    jobs: int | str | None = None,
    host: str | None = None,
    port: int | str | None = None,
    token: str | None = None,
) -> Settings:
    """Settings from the arguments, else the environment, else the defaults; an empty value counts as absent.

    Variables: ``LWB_DB``, ``LWB_CONVENTIONS``, ``LWB_JOBS``, ``LWB_HOST``, ``LWB_PORT``, ``LWB_TOKEN``.

    Args:
        env: the environment to read; the process's own by default.

    Raises:
        ConfigError: a value cannot be used; the message names the setting, the value and what is allowed.
    """
    variables = os.environ if env is None else env

    def value(given: object, variable: str) -> tuple[str, str] | None:
        """The text of a setting with the name to blame in a message, ``None`` where nobody set it."""
        if given is not None and str(given).strip():
            return str(given).strip(), variable.removeprefix("LWB_").lower()
        from_env = variables.get(variable, "").strip()
        return (from_env, variable) if from_env else None

    database_value = value(None if database is None else os.fspath(database), "LWB_DB")
    conventions_value = value(None if conventions is None else os.fspath(conventions), "LWB_CONVENTIONS")
    jobs_value = value(jobs, "LWB_JOBS")
    host_value = value(host, "LWB_HOST")
    port_value = value(port, "LWB_PORT")
    token_value = value(token, "LWB_TOKEN")
    return Settings(
        database=_database(database_value[0]) if database_value else str(default_database()),
        conventions=Path(conventions_value[0]).expanduser() if conventions_value else default_conventions(),
        jobs=_whole_number(*jobs_value, low=1, high=MAX_JOBS) if jobs_value else default_jobs(),
        host=_host(*host_value) if host_value else DEFAULT_HOST,
        # Port 0 asks the system for a free one, which tests and launchers use.
        port=_whole_number(*port_value, low=0, high=65535) if port_value else DEFAULT_PORT,
        token=_token(*token_value) if token_value else None,
    )


def default_database() -> Path:
    """The catalogue's path in the user's data folder; nothing is created."""
    return Path(platformdirs.user_data_dir(APP_NAME, appauthor=False)) / DATABASE_NAME


def default_conventions() -> Path:
    """The conventions file's path in the user's configuration folder; it need not exist."""
    return Path(platformdirs.user_config_dir(APP_NAME, appauthor=False)) / CONVENTIONS_NAME


def default_jobs() -> int:
    """Workers when nobody says: the CPUs this process may use, at most :data:`MAX_DEFAULT_JOBS`."""
    affinity = getattr(os, "sched_getaffinity", None)  # absent on macOS and Windows
    cpus = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return max(1, min(cpus, MAX_DEFAULT_JOBS))


def _database(text: str) -> str:
    """A URL as it stands; a path with ``~`` expanded."""
    return text if "://" in text else str(Path(text).expanduser())


def _whole_number(text: str, name: str, *, low: int, high: int) -> int:
    # int() also takes "1_000", "+5" and non-Latin digits; a setting is plain decimal digits.
    if text.isascii() and text.isdecimal() and low <= int(text) <= high:
        return int(text)
    raise ConfigError(f"{name} is {text!r}; it must be a whole number from {low} to {high}.", subject=name)


def _host(text: str, name: str) -> str:
    if "://" in text or "/" in text or any(character.isspace() for character in text):
        raise ConfigError(
            f"{name} is {text!r}; it must be a bare host name or address such as 127.0.0.1, without scheme or path.",
            subject=name,
        )
    return text.removeprefix("[").removesuffix("]")


def _token(text: str, name: str) -> str:
    # The token travels in a header, which holds printable ASCII only. The value stays out of the message.
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError(f"{name} must consist of printable ASCII characters without spaces.", subject=name)
    return text
