import os
import stat
import subprocess
import sys

import pytest

from safe_wrappers import _files
from safe_wrappers._files import lock, new_folder, remove_leftovers, write_text


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


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("system", ["swaps", "cannot swap"])
def test_a_folder_appears_whole_and_replaces_the_one_before(tmp_path, monkeypatch, system):
    if system == "cannot swap":
        monkeypatch.setattr(_files.ctypes, "CDLL", lambda *_, **__: object())
    path = tmp_path / "deep" / "folder"
    for content in ("old", "new"):
        with new_folder(path) as complete:
            assert complete.name == "folder"
            assert not path.exists() or (path / "file").read_text() == "old"
            (complete / content).mkdir()
            write_text(complete / "file", content)
        assert names(path) == sorted([content, "file"])
        assert (path / "file").read_text() == content
    assert names(path.parent) == ["folder"]


def test_a_folder_that_fails_leaves_the_old_one_and_nothing_else(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(ZeroDivisionError), new_folder(path) as complete:
        write_text(complete / "file", str(1 / 0))
    assert names(tmp_path) == ["folder"]
    assert names(path) == []


def test_the_content_is_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    done = []
    sync, rename = _files._sync, _files.Path.rename

    def note(path):
        done.append(path.name)
        sync(path)

    def appear(self, target):
        done.append("appears")
        return rename(self, target)

    monkeypatch.setattr(_files, "_sync", note)
    monkeypatch.setattr(_files.Path, "rename", appear)
    with new_folder(tmp_path / "folder") as complete:
        (complete / "inner").mkdir()
        (complete / "inner" / "file").write_text("as others write it")
    assert set(done[: done.index("appears")]) == {"file", "inner", "folder"}
    assert done[done.index("appears") :] == ["appears", tmp_path.name]


def test_what_killed_processes_left_is_removed(tmp_path):
    (tmp_path / ".incomplete-abc" / "deep").mkdir(parents=True)
    (tmp_path / ".incomplete-metrics.csv-xyz").write_text("half")
    (tmp_path / "metrics.csv").write_text("whole")
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["metrics.csv"]
    remove_leftovers(tmp_path / "nowhere")
