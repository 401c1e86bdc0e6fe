"""Files: which are searched, how they are decoded, and how they are replaced, never half written."""

from __future__ import annotations

import codecs
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from routed_llm.errors import RoutedError

__all__ = [
    "MigrationError",
    "Skipped",
    "Walk",
    "check_file",
    "decode",
    "encode",
    "mark_of",
    "replace_file",
]

Skipped = dict[str, list[str]]
"""What was left out: why, as a phrase of one (``symbolic link``), to the paths."""

LEFTOVER = ".routed"
"""How the names of temporary files end; one is left where a write was killed."""

_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH

VENDORED = frozenset(
    {
        "node_modules",
        "site-packages",
        "vendor",
        "vendored",
        "_vendor",
        "third_party",
        "__pycache__",
        "venv",
        "env",
        "virtualenv",
        "dist",
        "build",
        "egg-info",
    }
)
"""Names of folders whose files somebody else writes."""

# fmt: off
_SKIPPED_SUFFIXES = frozenset({
    ".png", ".jpg", ".jpeg", ".gif", ".webp", ".ico", ".pdf", ".zip", ".gz", ".xz", ".bz2", ".7z",
    ".tar", ".whl", ".pyc", ".so", ".dll", ".exe", ".woff", ".woff2", ".ttf", ".mp3", ".mp4", ".wav",
    ".mov", ".parquet", ".bin", ".pt", ".onnx", ".npy", ".npz", ".pkl", ".db", ".sqlite", ".faiss",
    ".jar", ".class", ".o", ".a", ".avi", ".docx", ".xlsx", ".pptx",
})
# fmt: on
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class MigrationError(RoutedError):
    """The search cannot begin or the files cannot be written; the last sentence says what to do."""


class Walk:
    """Goes through a tree, and notes what it leaves out and why.

    Args:
        root: a folder or one file.
        vendored: whether to enter hidden, vendored and generated folders.

    Attributes:
        skipped: why, to the files and folders left out, relative to the root.

    Raises:
        MigrationError: when there is nothing at the path.
    """

    def __init__(self, root: Path, *, vendored: bool = False) -> None:
        if not root.exists():
            raise MigrationError(f"{root} does not exist. Name a folder or a file.")
        self.root = root
        self.skipped: Skipped = {}
        self._vendored = vendored
        self._seen: set[tuple[int, int]] = set()

    def __iter__(self) -> Iterator[Path]:
        """Give the files in a fixed order, each once; links to folders are not followed."""
        if self.root.is_file():
            yield self.root
            return
        yield from self._folder(self.root)

    def _skip(self, why: str, path: str | Path) -> bool:
        self.skipped.setdefault(why, []).append(Path(path).relative_to(self.root).as_posix())
        return False

    def _folder(self, folder: Path) -> Iterator[Path]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            self._skip("folder that cannot be read", folder)
            return
        for entry in entries:
            try:
                if entry.is_symlink():
                    self._skip("symbolic link", entry.path)
                elif entry.is_dir():
                    if self._entered(entry):
                        yield from self._folder(Path(entry.path))
                elif not entry.is_file():
                    self._skip("device, pipe or socket", entry.path)
                elif self._taken(entry):
                    yield Path(entry.path)
            except OSError:
                self._skip("file that cannot be read", entry.path)

    def _entered(self, entry: os.DirEntry[str]) -> bool:
        name = entry.name
        if name == ".git":
            return False
        if not self._vendored:
            if name in VENDORED or name.endswith(".egg-info") or _is_environment(entry.path):
                return self._skip("vendored or generated folder", entry.path)
            if name.startswith(".") and name not in (".github", ".streamlit", ".devcontainer"):
                return self._skip("hidden folder", entry.path)
        return True

    def _taken(self, entry: os.DirEntry[str]) -> bool:
        if os.path.splitext(entry.name)[1].lower() in _SKIPPED_SUFFIXES:  # noqa: PTH122 - ten thousand times
            return self._skip("binary file", entry.path)
        if entry.name.startswith(".") and entry.name.endswith(LEFTOVER):
            return self._skip("temporary file of a run that was killed", entry.path)
        found = entry.stat()
        if found.st_nlink > 1:
            if (found.st_dev, found.st_ino) in self._seen:
                return self._skip("hard link to a file seen before", entry.path)
            self._seen.add((found.st_dev, found.st_ino))
        return True


def _is_environment(folder: str) -> bool:
    try:
        return (Path(folder) / "pyvenv.cfg").exists()
    except OSError:  # a folder that may be listed but not entered
        return False


def decode(data: bytes, *, python: bool) -> tuple[str, str, bytes]:
    """Decode a file so that encoding it again gives the same bytes.

    Returns:
        The text without its byte order mark, the encoding, and the mark.

    Raises:
        ValueError: when it is not text in the encoding that it says or, without one, in UTF-8.
    """
    mark, encoding = b"", "utf-8"
    for bom, name in _BOMS:
        if data.startswith(bom):
            mark, encoding = bom, name
            break
    if python and not mark:
        encoding = _declared(data) or encoding
    body = data[len(mark) :]
    try:
        text = body.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise ValueError(f"it is not {encoding} text") from error
    if encoding == "utf-8" and "\0" in text:
        raise ValueError("it is binary")
    if text.encode(encoding) != body:
        raise ValueError(f"its {encoding} text cannot be written back as it was")
    return text, encoding, mark


def encode(text: str, encoding: str, mark: bytes) -> bytes:
    """Undo :func:`decode`."""
    return mark + text.encode(encoding)


def _declared(data: bytes) -> str | None:
    for line in data.split(b"\n", 2)[:2]:
        found = _COOKIE.match(line)
        if found:
            return found[1].decode("ascii")
    return None


def mark_of(data: bytes) -> str:
    """Return what distinguishes a content from another one."""
    return hashlib.sha256(data).hexdigest()


def check_file(path: Path, read: str) -> None:
    """Refuse a file that is not to be written as it was read.

    Args:
        path: the file.
        read: the mark of its content when it was read.

    Raises:
        MigrationError: when it has changed since, is read-only, or cannot be read.
    """
    try:
        if mark_of(path.read_bytes()) != read:
            raise MigrationError(f"{path} has changed since it was read. Run the command again.")
        if not stat.S_IMODE(path.stat().st_mode) & _WRITABLE:
            raise MigrationError(f"{path} is read-only. Make it writable, or leave its folder out.")
    except OSError as error:
        raise MigrationError(f"{path}: {error.strerror or error}. Run the command again.") from error


def replace_file(path: Path, read: str, new: bytes) -> None:
    """Put new content in a file's place at once, with the same permissions.

    Args:
        path: the file.
        read: the mark of its content when it was read.
        new: what takes its place.

    Raises:
        MigrationError: when the file has changed since it was read, or cannot be replaced.
    """
    check_file(path, read)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=LEFTOVER)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(new)
                stream.flush()
                os.fsync(stream.fileno())
            before = path.stat()
            Path(name).chmod(stat.S_IMODE(before.st_mode))
            _give(name, before)
            os.replace(name, path)  # noqa: PTH105 - the atomic one, by its name
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise MigrationError(f"{path}: {reason}. Nothing of it was written; make it writable.") from error


def _give(name: str, before: os.stat_result) -> None:
    """Leave the file to whom it belongs: whoever runs this may be somebody else."""
    made = os.stat(name)  # noqa: PTH116 - beside os.chown
    if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
        try:
            os.chown(name, before.st_uid, before.st_gid)
        except OSError:
            return
