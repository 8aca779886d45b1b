import os
import stat
import subprocess
import sys

import pytest

from safe_wrappers import _files
from safe_wrappers._files import lock, write_text


def test_a_file_is_replaced_whole_and_as_readable_as_any_other(tmp_path):
    path, other = tmp_path / "file.json", tmp_path / "other"
    path.write_text("old")
    other.write_text("")
    write_text(path, "new\r\nä")
    assert path.read_bytes() == "new\r\nä".encode()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file.json", "other"]


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, fails):
    path = tmp_path / "file.json"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(_files.os, fails, fail)
    with pytest.raises(OSError, match="disk full"):
        write_text(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


def test_another_process_does_not_get_a_lock_and_learns_who_has_it(tmp_path):
    path = tmp_path / ".lock"
    held = lock(path)
    code = "import pathlib, sys; from safe_wrappers._files import lock; print(lock(pathlib.Path("
    code += "sys.argv[1])))"
    command = [sys.executable, "-c", code, str(path)]
    asked = subprocess.run(command, capture_output=True, text=True, check=True)
    assert asked.stdout.split() == [str(os.getpid())]
    held.close()
    again = lock(path)
    assert path.read_text() == f"{os.getpid()}\n"
    again.close()
