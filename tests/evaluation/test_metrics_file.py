import pytest

from safe_wrappers.evaluation import MetricsWriter, read_rows


def history(path, resumed_at=0, steps=(0, 10, 20, 30), value=-1.0):
    with MetricsWriter(path / "metrics.csv", path / "tensorboard", resumed_at) as writer:
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


def test_a_killed_resume_keeps_the_history(tmp_path):
    before = history(tmp_path)
    # It goes on from the row at 10, and ends before its next evaluation, or after it.
    MetricsWriter(tmp_path / "metrics.csv", tmp_path / "tensorboard", 10)
    assert read_rows(tmp_path / "metrics.csv") == before
    after = history(tmp_path, resumed_at=10, steps=(10, 20), value=-2.0)
    assert [row["eval/return"] for row in after] == [-1.0, -11.0, -42.0, -31.0]


def test_rows_of_another_schedule_give_way_as_the_run_passes_them(tmp_path):
    history(tmp_path)
    rows = history(tmp_path, resumed_at=10, steps=(10, 25, 40), value=-2.0)
    assert [row["interactions"] for row in rows] == [0, 10, 25, 40]


def test_another_file_is_refused(tmp_path):
    (tmp_path / "metrics.csv").write_text("name,price\nbread,3\n")
    with pytest.raises(ValueError, match=r"could not convert|must have a column"):
        read_rows(tmp_path / "metrics.csv")
