"""Walks library roots: which LoRA files are there, and what could not be looked at.

One ``scandir`` a folder and one ``stat`` a file; no file is opened. What a path *means* is in ``conventions.py``,
which entry a file belongs to in ``identity.py``, which files beside a LoRA are its own in ``beside.py``: these come out
of the same listing, and only a sidecar that a LoRA has costs a ``stat`` of its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from lora_weights_builder.library import beside, paths
from lora_weights_builder.library.beside import Beside, SidecarFound
from lora_weights_builder.records import FileStamp, PathProblem

SUFFIX: Final = ".safetensors"
_HAS_JUNCTIONS: Final = os.name == "nt" and hasattr(os.DirEntry, "is_junction")
_INT64: Final = 0x7FFF_FFFF_FFFF_FFFF  # what a database holds; some file systems number beyond it


class FoundFile(NamedTuple):
    """A LoRA file on disk; a tuple, because a library may have a million of them.

    ``path`` is storable and absolute, ``relative`` storable and POSIX; ``marks`` are the fields of a
    :class:`FileStamp`; ``open_path`` is where a link leads, else ``None``.
    """

    path: str
    relative: str
    marks: tuple[int, int, int, int]
    open_path: str | None = None

    @property
    def stamp(self) -> FileStamp:
        """What the file looks like now."""
        return FileStamp(*self.marks)

    @property
    def os_path(self) -> str:
        """The path to hand to the operating system for reading."""
        return self.open_path or paths.to_os(self.path)


@dataclass(slots=True)
class Walk:
    """What one root holds. Files under ``unreadable`` folders (storable paths) are unknown, not gone.

    ``beside`` has what lies beside the files, by their path; a file that has nothing beside it is not in it.
    """

    files: list[FoundFile] = field(default_factory=list)
    beside: dict[str, Beside] = field(default_factory=dict)
    problems: list[PathProblem] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


class RootUnreadable(Exception):
    """The root itself is absent, no folder, or cannot be listed; the text says which."""


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str  # OS form
    text: str  # storable form
    relative: str  # storable POSIX, "" for the root
    through_link: bool
    prefix: str  # the storable path up to and with its last separator
    relative_prefix: str

    @classmethod
    def at(cls, path: str, text: str, relative: str, *, through_link: bool) -> _Folder:
        prefix = text if text.endswith(os.sep) else text + os.sep
        return cls(path, text, relative, through_link, prefix, f"{relative}/" if relative else "")


def walk(root: str, *, skips: Callable[[str], bool], listed_roots: Iterable[str]) -> Walk:
    """Find the LoRA files below a root (an absolute OS path).

    Hidden files and folders, and folders for which ``skips`` is true, are passed over. A folder that is itself a
    listed root is left to its own walk. Links are followed only into listed roots, and no link is followed inside a
    followed folder link, so loops end. Order is that of the file system; callers sort.

    Raises:
        RootUnreadable: the root cannot be listed, so nothing at all is known about its files.
    """
    listed = {os.path.realpath(other) for other in listed_roots} | {os.path.realpath(root)}
    other_roots = {os.path.normcase(path) for path in listed_roots} - {os.path.normcase(root)}
    result = Walk()
    pending = [_Folder.at(root, paths.to_text(root), "", through_link=False)]
    while pending:
        folder = pending.pop()
        first, neighbours = len(result.files), list[os.DirEntry[str]]()
        try:
            with os.scandir(folder.path) as entries:
                for entry in entries:
                    if _add_plain(entry, folder, result.files):
                        continue
                    if beside.may_belong(entry.name):
                        neighbours.append(entry)
                    _visit(entry, folder, result, pending, skips, listed, other_roots)
            if neighbours and len(result.files) > first:
                start = len(folder.prefix)
                stems = {file.path[start : -len(SUFFIX)]: file.path for file in result.files[first:]}
                result.beside |= _beside(stems, neighbours, listed)
        except OSError as fault:
            if folder.relative == "" and not folder.through_link:
                raise RootUnreadable(_reason(fault)) from fault
            result.unreadable.append(folder.text)
            result.problems.append(PathProblem(folder.text, _reason(fault), _code(fault)))
    return result


def look(path: str, relative: str, *, listed_roots: Iterable[str]) -> FoundFile | None:
    """The one file at a storable path, as :func:`walk` would find it; ``None`` where there is none to be found.

    Args:
        relative: its place below the root, storable and POSIX. listed_roots: absolute OS paths.

    Raises:
        OSError: the path cannot be looked at.
    """
    os_path = paths.to_os(path)
    try:
        target = os.path.realpath(os_path, strict=True)
        is_link = Path(os_path).is_symlink()
        found = Path(os_path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as fault:
        if _is_loop(fault):
            return None
        raise
    listed = [os.path.realpath(root) for root in listed_roots]
    if not stat.S_ISREG(found.st_mode) or not any(paths.is_inside(target, root) for root in listed):
        return None
    return FoundFile(path, relative, _marks(found, os_path), target if is_link else None)


def look_beside(path: str, *, listed_roots: Iterable[str]) -> Beside | None:
    """What lies beside the one LoRA file at a storable path, as :func:`walk` would find it; ``None``: nothing does.

    Args:
        listed_roots: absolute OS paths.

    Raises:
        OSError: the folder cannot be listed.
    """
    place = Path(paths.to_os(path))
    listed = {os.path.realpath(root) for root in listed_roots}
    with os.scandir(place.parent) as entries:
        here = [entry for entry in entries if not entry.name.startswith(".")]
    loras = [paths.to_text(entry.name) for entry in here if entry.name[-len(SUFFIX) :].lower() == SUFFIX]
    neighbours = [entry for entry in here if beside.may_belong(entry.name)]
    return _beside({name[: -len(SUFFIX)]: name for name in loras}, neighbours, listed).get(paths.to_text(place.name))


def _beside(stems: Mapping[str, str], neighbours: Sequence[os.DirEntry[str]], listed: set[str]) -> dict[str, Beside]:
    """What lies beside the LoRA files of one folder. A sidecar that is gone before it is looked at is not there."""
    usable = {paths.to_text(entry.name): entry for entry in neighbours if _is_usable(entry, listed)}
    found: dict[str, Beside] = {}
    for path, names in beside.match(usable, stems).items():
        mine = Beside(names.pop(beside.PICTURE, None))
        for kind, name in names.items():
            entry = usable[name]
            with contextlib.suppress(OSError):
                os_path = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                mine.sidecars[kind] = SidecarFound(name, os_path, _marks(entry.stat(), entry.path))
        if mine.preview is not None or mine.sidecars:
            found[path] = mine
    return found


def _is_usable(entry: os.DirEntry[str], listed: set[str]) -> bool:
    """Whether an entry is a plain file, or a link to one inside the listed roots; hidden ones are passed over."""
    if entry.name.startswith("."):
        return False
    try:
        if entry.is_file(follow_symlinks=False):
            return True
        if not entry.is_file():
            return False
        target = os.path.realpath(entry.path)
    except OSError:
        return False
    return any(paths.is_inside(target, root) for root in listed)


def _add_plain(entry: os.DirEntry[str], folder: _Folder, files: list[FoundFile]) -> bool:
    """The shortest way for what nearly every entry is, a plain file with a plain name; false where it is not."""
    name = entry.name
    if not (name.endswith(SUFFIX) and name.isascii()) or name[0] == "." or paths.ESCAPE in name:
        return False
    try:
        if not entry.is_file(follow_symlinks=False):
            return False
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    files.append(FoundFile(folder.prefix + name, folder.relative_prefix + name, _marks(found, entry.path)))
    return True


def _visit(
    entry: os.DirEntry[str],
    folder: _Folder,
    result: Walk,
    pending: list[_Folder],
    skips: Callable[[str], bool],
    listed: set[str],
    other_roots: set[str],
) -> None:
    name = entry.name
    if name.startswith("."):
        return
    is_lora = name[-len(SUFFIX) :].lower() == SUFFIX
    try:
        is_link = entry.is_symlink() or _is_junction(entry)
        if not is_link and not is_lora and not entry.is_dir(follow_symlinks=False):
            return
        found = None if is_link else entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return  # gone between listing and looking: as if it had never been listed
    except OSError as fault:
        text = folder.prefix + paths.to_text(name)
        result.unreadable.append(text)
        result.problems.append(PathProblem(text, _reason(fault), _code(fault)))
        return
    stored = paths.to_text(name)
    text = folder.prefix + stored
    relative = folder.relative_prefix + stored
    if found is None:
        _visit_link(entry, text, relative, folder, result, pending, skips, listed, is_lora)
    elif stat.S_ISDIR(found.st_mode):
        if not skips(name) and os.path.normcase(entry.path) not in other_roots:
            pending.append(_Folder.at(entry.path, text, relative, through_link=folder.through_link))
    elif is_lora:
        result.files.append(FoundFile(text, relative, _marks(found, entry.path)))


def _visit_link(
    entry: os.DirEntry[str],
    text: str,
    relative: str,
    folder: _Folder,
    result: Walk,
    pending: list[_Folder],
    skips: Callable[[str], bool],
    listed: set[str],
    is_lora: bool,
) -> None:
    """Follow a link if it leads into a listed root; say why not, where somebody could have expected otherwise."""

    def skip(reason: str, code: str) -> None:
        result.problems.append(PathProblem(text, reason, code))

    try:
        found = Path(entry.path).stat()
        target = os.path.realpath(entry.path)
    except OSError as fault:
        reason = "the link leads in a circle" if _is_loop(fault) else f"the link leads nowhere ({_reason(fault)})"
        skip(f"{reason}; it was skipped", "dangling_link")
        return
    is_folder = stat.S_ISDIR(found.st_mode)
    if skips(entry.name) if is_folder else not is_lora:
        return
    if not any(paths.is_inside(target, root) for root in listed):
        where = f"the link leads out of the library, to {paths.display(target)}"
        skip(f"{where}; add that folder as a root to have it read", "foreign_link")
    elif not is_folder:
        result.files.append(FoundFile(text, relative, _marks(found, entry.path), target))
    elif paths.is_inside(os.path.realpath(folder.path), target):
        skip("the link leads to a folder that holds it; it was skipped", "link_loop")
    elif folder.through_link:
        skip("the link lies in a folder that is itself a link; it was skipped", "link_in_link")
    else:
        pending.append(_Folder.at(entry.path, text, relative, through_link=True))


def _is_junction(entry: os.DirEntry[str]) -> bool:
    return _HAS_JUNCTIONS and bool(entry.is_junction())  # type: ignore[attr-defined]


def _marks(found: os.stat_result, path: str) -> tuple[int, int, int, int]:
    if os.name == "nt" and not found.st_ino:  # scandir on Windows leaves the file's number out
        found = Path(path).stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino & _INT64


def _reason(fault: OSError) -> str:
    if isinstance(fault, PermissionError):
        return "permission denied"
    return (fault.strerror or str(fault)).lower()


def _code(fault: OSError) -> str:
    return "permission_denied" if isinstance(fault, PermissionError) else "io_error"


def _is_loop(fault: OSError) -> bool:
    return fault.errno == errno.ELOOP
