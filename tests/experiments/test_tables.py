"""The CSV files of a study: what is read is what was written."""

from safe_wrappers.experiments import Results, read_results
from safe_wrappers.experiments._tables import read_csv, write_csv, write_results


def test_tables_read_again_as_they_were_written(tmp_path):
    run = {"row": "a/b/c", "behind": "", "seed": 3, "return": -5.25, "training_exits": None}
    curve = {"row": "a/b/c", "interactions": 64, "median": -1.5, "low": -2.0, "high": -1.0}
    write_results(tmp_path, Results([run], [curve], {"a": -5.125}))
    found = read_results(tmp_path)
    assert found.runs[0] | run == found.runs[0]
    assert found.curves == [curve]
    assert found.references == {"a": -5.125}


def test_a_folder_without_tables_has_no_results(tmp_path):
    assert read_results(tmp_path) == Results([], [], {})


def test_numbers_keep_seven_digits_and_names_stay_texts(tmp_path):
    path = tmp_path / "table.csv"
    write_csv(path, ("row", "seed", "return"), [{"row": "1", "seed": 7, "return": -1234.56789}])
    assert path.read_text() == "row,seed,return\n1,7,-1234.568\n"
    assert read_csv(path) == [{"row": "1", "seed": 7, "return": -1234.568}]


def test_what_is_not_finite_stays_so(tmp_path):
    path = tmp_path / "table.csv"
    write_csv(path, ("return", "seed"), [{"return": float("-inf"), "seed": float("nan")}])
    (line,) = read_csv(path)
    assert line["return"] == float("-inf")
    assert line["seed"] != line["seed"]
