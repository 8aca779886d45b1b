"""Files and folders that are there whole or not at all: the library writes everything through here.

What is written survives a power cut: its content is on the disk before its name is.
"""

import contextlib
import ctypes
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

INCOMPLETE = ".incomplete-"  # how the hidden names begin of what is not whole yet
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file in UTF-8, as `write_bytes` does; ends of lines stay as they are."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file atomically: whoever reads it, also after a power cut, finds the old content or
    the new one, never a part.

    Args:
        path: The file; its folder must exist.
        content: The whole content.

    Raises:
        OSError: If it cannot be written; the old file is then as it was, and nothing is left
            beside it.
    """
    path = Path(path)
    scratch = tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f"{INCOMPLETE}{path.name}-", delete=False
    )
    try:
        with scratch as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(scratch.name, 0o666 & ~_umask())
        os.replace(scratch.name, path)
    except BaseException:
        os.unlink(scratch.name)
        raise
    _sync(path.parent)


@contextlib.contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Writes a folder atomically: it appears under its name when the block ends, and not at all if
    the block fails.

    Args:
        path: The folder; the one above it is created if need be. What is there already is
            replaced.

    Yields:
        A hidden folder beside it of the same name, to write into.

    Raises:
        OSError: If it cannot be written; what was there before is then as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=INCOMPLETE, dir=path.parent) as scratch:
        complete = Path(scratch) / path.name
        complete.mkdir()
        yield complete
        for folder, _, files in os.walk(complete):
            for file in files:
                _sync(Path(folder) / file)
            _sync(Path(folder))
        if path.exists():
            _exchange(complete, path)
        else:
            complete.rename(path)
        _sync(path.parent)


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Deletes what processes that were killed while they wrote left in a folder. Only for who knows
    that no other process writes there.
    """
    for leftover in Path(folder).glob(f"{INCOMPLETE}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def lock(path: Path) -> IO[str] | int:
    """Takes a file for this process alone, until the returned file is closed or the process ends,
    however it ends.

    Args:
        path: The file; it is created if need be, and stays. It holds the number of the process
            that has it.

    Returns:
        The open file, or the number of the process that has it already (0 if it does not say).

    Raises:
        OSError: If the file cannot be opened.
    """
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        return int(holder) if holder.isdigit() else 0
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def _umask() -> int:
    """What new files are not allowed: temporary files are private, but what becomes of them is to
    be as readable as any other new file.
    """
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _exchange(new: Path, old: Path) -> None:
    """Swaps two folders, at once where the system can, so that at no moment there is none."""
    try:
        swap = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        failed = True
    else:
        failed = swap(_HERE, os.fsencode(new), _HERE, os.fsencode(old), _EXCHANGE)
    if failed:  # not Linux, or a file system that cannot
        old.rename(new.parent / "replaced")
        new.rename(old)


def _sync(path: Path) -> None:
    """Waits until the content of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():
            raise
        # some network file systems refuse to sync folders
    finally:
        os.close(descriptor)
