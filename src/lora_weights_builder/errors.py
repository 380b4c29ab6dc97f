"""Every error that the product raises on purpose, as one documented tree.

An error names its subject (a file, a field, an id), says why in one sentence and what to do about it. Each class
carries the exit code of the command line and the HTTP status of the server, so neither floor keeps a table of its own.

What does not belong here: faults *inside* a LoRA file that still leave something to record. Those are warnings of a
:class:`~lora_weights_builder.records.LoraRecord`, because one bad file must never cost the work on the others.
"""

from __future__ import annotations


class LwbError(Exception):
    """Base of all deliberate errors.

    Args:
        message: one sentence for the person who reads it: subject, reason, remedy.
        subject: the file, field or id the error is about, for machine readers; ``None`` where there is none.
    """

    code = "error"
    exit_code = 1
    http_status = 500

    def __init__(self, message: str, *, subject: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.subject = subject

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process boundaries; the default reduce would drop the keyword-only subject.
        return (_rebuild, (type(self), self.message, self.subject))


def _rebuild(cls: type[LwbError], message: str, subject: str | None) -> LwbError:
    return cls(message, subject=subject)


class UsageError(LwbError):
    """The command or request was put together wrongly."""

    code = "usage"
    exit_code = 2
    http_status = 422


class BadField(UsageError):
    """A field of a request holds what it may not; the sentence names the field, what it takes and what was found."""

    code = "bad_field"
    http_status = 400


class FileRejected(LwbError):
    """A file is not a LoRA that can be read: damaged, hostile, of another format, or gone.

    ``code`` differs by instance (``bad_header``, ``not_safetensors``, ``permission_denied`` ...) because the catalogue
    records the reason per file.
    """

    exit_code = 1
    http_status = 422

    def __init__(self, message: str, *, subject: str | None = None, code: str = "unreadable") -> None:
        super().__init__(message, subject=subject)
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_rejected, (self.message, self.subject, self.code))


def _rebuild_rejected(message: str, subject: str | None, code: str) -> FileRejected:
    return FileRejected(message, subject=subject, code=code)


class RegistryError(LwbError):
    """The layout registry's data contradicts itself; raised at load, never for user input."""

    code = "registry"
    exit_code = 3


class ConfigError(LwbError):
    """A setting or a configuration file cannot be used."""

    code = "config"
    exit_code = 4


class CatalogError(LwbError):
    """The database cannot be used: absent, corrupt, read-only, full."""

    code = "catalog"
    exit_code = 5
    http_status = 503


class NewerSchema(CatalogError):
    """The database was written by a newer version; it is left byte for byte as it was."""

    code = "newer_schema"


class Busy(CatalogError):
    """Another process holds the index lease; the message names it."""

    code = "busy"
    exit_code = 6
    http_status = 409


class NotFound(LwbError):
    """No entry, layout or job has this id."""

    code = "not_found"
    exit_code = 7
    http_status = 404


class RootUnavailable(LwbError):
    """A library root is absent, unreadable, or suddenly empty; none of its entries was changed."""

    code = "root_unavailable"
    exit_code = 1
    http_status = 409


class Conflict(LwbError):
    """The request contradicts what the catalogue holds (a ledger that gives an id to two files, say)."""

    code = "conflict"
    exit_code = 8
    http_status = 409
