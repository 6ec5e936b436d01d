"""Folders that are written to: tried out before anything is paid for, files in one move or line by line, a full disk
in words.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, ClassVar, TextIO, TypeVar

from rnnprog.errors import StorageError

__all__ = ["LineFile", "put_file", "tried_folder", "unwritable"]

_BUFFER = 1 << 16
_WAY_OUT = "see to the rights, make room there, or give another folder"


def unwritable(error: OSError, path: str | Path) -> StorageError:
    """Return what a failed write means, in words.

    Example:
        >>> print(unwritable(OSError(28, "No space left on device"), "runs/a"))
        'runs/a' cannot be written (No space left on device); see to the rights, make room there, or give another folder
    """
    return StorageError(f"{str(path)!r} cannot be written ({error.strerror or error}); {_WAY_OUT}")


def tried_folder(folder: str | Path) -> Path:
    """Write a small file into a folder, made for it where it is missing; and take both away again.

    Use it before the first paid call: what cannot be kept should not be made.

    Raises:
        StorageError: there is no such folder and none can be made, or nothing can be written into it.

    Example:
        >>> import tempfile
        >>> tried_folder(tempfile.mkdtemp() + "/new/one").parent.exists()
        False
    """
    folder = Path(folder)
    probe = folder / f".tried.{os.getpid()}"
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with probe.open("wb") as file:
                file.write(b"0" * 4096)
                file.flush()
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)
            for made in missing:
                with suppress(OSError):  # somebody else may have put something there by now
                    made.rmdir()
    except OSError as error:
        raise unwritable(error, folder) from error
    return folder


def put_file(path: str | Path, pieces: Iterable[str], errors: str = "strict") -> Path:
    """Write a text file and move it into place: it is there as a whole or not at all, and nothing else is left behind.

    Args:
        path: the file; its folder is made, an existing file is replaced.
        pieces: the text, in parts.
        errors: what to do with characters that UTF-8 cannot carry, as ``open`` takes it.

    Raises:
        StorageError: the disk is full, or the place cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        try:
            with _opened(partial) as file:
                file.writelines(piece.encode("utf-8", errors) for piece in pieces)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise unwritable(error, path) from error
    return path


F = TypeVar("F", bound="LineFile")


class LineFile:
    """A text file that is written line by line, each at once; open inside a ``with`` statement.

    Args:
        path: the file; its folder is made, an existing file is replaced.

    Attributes:
        full: the error that ended the writing, such as a full disk; what was written before can be read.
    """

    about: ClassVar[str] = "file"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.full: StorageError | None = None
        self._file: TextIO | None = None
        self._lock = threading.Lock()  # held by those who write from several threads

    def __enter__(self: F) -> F:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("w", encoding="utf-8")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(OSError) if self.full is not None else nullcontext():  # closing tries the lost line once more
            if self._file is not None:
                self._file.close()

    def write(self, line: str) -> None:
        """Write a line; none after one that could not be written: whatever came after half a line could not be read.

        Raises:
            StorageError: it cannot be written.
        """
        if self._file is None:
            raise RuntimeError(f"{self.path} is not open; use the {self.about} in a with statement")
        if self.full is not None:
            return
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            self.full = unwritable(error, self.path)
            raise self.full from error


def _opened(path: Path) -> BinaryIO:
    # At each word with the system another walk goes on, and this one waits for its turn; so there are few of them.
    try:
        return path.open("wb", buffering=_BUFFER)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("wb", buffering=_BUFFER)
