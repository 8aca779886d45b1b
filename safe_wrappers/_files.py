"""Files that are there whole or not at all: the library writes its files through here."""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a file atomically: whoever reads it, also after a power cut, finds the old content or
    the new one, never a part.

    Args:
        path: The file; its folder must exist.
        text: The whole content, written in UTF-8.

    Raises:
        OSError: If it cannot be written; the old file is then as it was, and nothing is left
            beside it.
    """
    path = Path(path)
    # newline="": a CSV file brings its own ends of lines.
    scratch = tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}.", encoding="utf-8", newline="", delete=False
    )
    try:
        with scratch as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # Temporary files are private; this one is to be as readable as any other new file.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(scratch.name, 0o666 & ~umask)
        os.replace(scratch.name, path)
    except BaseException:
        os.unlink(scratch.name)
        raise
    _sync_folder(path.parent)


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


def _sync_folder(folder: Path) -> None:
    """Makes a rename in the folder survive a power cut, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems refuse to sync folders
    finally:
        os.close(descriptor)
