import pytest

from safe_wrappers.evaluation import MetricsWriter, read_rows


def history(path, before=(), steps=(0, 10, 20, 30), value=-1.0):
    with MetricsWriter(path / "metrics.csv", path / "tensorboard", before) as writer:
        for step in steps:
            writer.write(step, {"eval/return": value * (step + 1), "eval/violations": 0})
    return read_rows(path / "metrics.csv")


def test_rows_come_back(tmp_path):
    rows = history(tmp_path)
    assert [(row["interactions"], row["eval/return"]) for row in rows] == [
        (0, -1.0),
        (10, -11.0),
        (20, -21.0),
        (30, -31.0),
    ]


def test_a_line_that_was_cut_is_not_taken_for_a_row(tmp_path):
    history(tmp_path)
    file = tmp_path / "metrics.csv"
    whole = file.read_bytes()
    start = whole[:-2].rindex(b"\n") + 1
    for end in range(start, len(whole) - 1):  # without the end of the line, or less
        file.write_bytes(whole[:end])
        assert [row["interactions"] for row in read_rows(file)] == [0, 10, 20]


def test_the_file_is_a_view_of_what_the_checkpoint_holds(tmp_path):
    rows = history(tmp_path)
    before = [row | {"eval/walltime": 1.0} for row in rows[:2]]  # and what the file does not show
    for damaged in ("", "name,price\nbread,3\n", None):
        file = tmp_path / "metrics.csv"
        file.unlink() if damaged is None else file.write_text(damaged)
        assert history(tmp_path, before, steps=()) == rows[:2]
        # The run goes on from the row at 10, which it repeats.
        assert history(tmp_path, before, steps=(10, 20, 30)) == rows


def test_another_file_is_refused(tmp_path):
    (tmp_path / "metrics.csv").write_text("name,price\nbread,3\n")
    with pytest.raises(ValueError, match=r"could not convert|must have a column"):
        read_rows(tmp_path / "metrics.csv")
