import dataclasses
import json
import os
import subprocess
import sys

import pytest

import safe_wrappers as sw


@pytest.fixture
def small_set(tmp_path):
    """A certificate file of the pendulum."""
    path = tmp_path / "mine.json"
    sw.envs.load_certificate("safe_pendulum", "narrow").save(path)
    return path


def too_large(path):
    """The claim about a larger set: false, but with a valid checksum."""
    claim = sw.Certificate.load(path, sw.envs.get_model("safe_pendulum")).claim
    larger = sw.Claim(
        claim.model,
        safe_state_set=claim.safe_state_set.scaled(3.15),
        constraint_set=sw.Box.symmetric([10.0, 20.0]),
        disturbance_set=claim.disturbance_set,
    )
    sw.Certificate(larger, "large").save(path)


def test_all_shipped_sets_of_a_system_are_proved(run_main, capsys):
    assert run_main("certify", "safe_pendulum") == 0
    printed = capsys.readouterr().out
    for name in sw.envs.certificate_names("safe_pendulum"):
        (line,) = [line for line in printed.splitlines() if line.startswith(name)]
        assert "proved" in line


def test_the_sets_of_so_many_links_are_chosen(run_main, capsys):
    assert run_main("certify", "safe_arm", "--links", "2", "--json") == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["safe_set"], record["proved"]) == ("2_links", True)
    for target, words in (
        ("safe_arm", "--links must be one of 2, 3, 7 for safe_arm, but it is 4"),
        ("safe_pendulum", "safe_pendulum has no links to choose"),
    ):
        assert run_main("certify", target, "--links", "4") == 2
        assert words in capsys.readouterr().err


def test_a_file_about_an_arm_is_about_its_links(run_main, tmp_path, capsys):
    path = tmp_path / "mine.json"
    sw.envs.load_certificate("safe_arm", "3_links").save(path)
    assert run_main("certify", path) == 0
    assert "3_links" in capsys.readouterr().out
    assert sw.envs.SafeArm(safe_set=str(path)).links == 3


def test_json_holds_a_record_per_set(run_main, capsys):
    assert run_main("certify", "safe_pendulum", "--json") == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["safe_set"] for record in records] == list(
        sw.envs.certificate_names("safe_pendulum")
    )
    for record in records:
        assert record["proved"] is True
        assert record["cells"] > 0
        assert record["depth"] >= 0
        assert record["margin"] >= 2e-4
        assert record["seconds"] > 0


@pytest.mark.smoke
def test_a_file_is_proved_for_the_bundled_model_it_names(run_main, small_set, capsys):
    assert run_main("certify", small_set) == 0
    assert "proved" in capsys.readouterr().out


def test_a_false_claim_fails_with_its_counterexample(run_main, small_set, capsys):
    too_large(small_set)
    assert run_main("certify", small_set, "--json") == 1
    (record,) = json.loads(capsys.readouterr().out)
    assert record["status"] == "counterexample"
    assert record["proved"] is False
    assert len(record["counterexample"]) == 2


def test_too_few_cells_are_no_success(run_main, capsys):
    assert run_main("certify", "safe_pendulum", "--safe-set", "full", "--max-cells", "10") == 1
    assert "inconclusive" in capsys.readouterr().out


def test_a_changed_file_is_refused(run_main, small_set, capsys):
    small_set.write_text(small_set.read_text().replace('"sigma": 0.0002', '"sigma": 0.0003'))
    assert run_main("certify", small_set) == 1
    printed = capsys.readouterr()
    assert "not proved" in printed.err
    assert "checksum" in printed.err
    assert run_main("certify", small_set, "--json") == 1
    assert json.loads(capsys.readouterr().out)[0]["proved"] is False


def test_a_users_model_is_imported_from_the_current_directory(
    run_main, small_set, capsys, monkeypatch, tmp_path
):
    # The same step under the same name is the same model; another mass is not.
    (tmp_path / "mine_models.py").write_text(
        "from safe_wrappers.envs import dynamics\nmine = "
        "dynamics.pendulum\nheavy = "
        "dynamics.pendulum(mass=2.0)\nnumber = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    assert run_main("certify", small_set, "--model", "mine_models:mine") == 0
    assert run_main("certify", small_set, "--model", "mine_models:heavy") == 1
    assert "mass = 2.0" in capsys.readouterr().err
    for wrong in ("mine_models", "mine_models:nothing", "no_module:mine", "mine_models:number"):
        assert run_main("certify", small_set, "--model", wrong) == 2
        assert "--model" in capsys.readouterr().err
    assert str(tmp_path) not in sys.path


def test_a_model_that_is_not_bundled_must_be_given(run_main, tmp_path, capsys):
    narrow = sw.envs.load_certificate("safe_pendulum", "narrow")
    bundled = sw.envs.get_model("safe_pendulum")
    model = sw.Model("mine", bundled.step, 2, 1, 1, bundled.parameters)
    path = tmp_path / "mine.json"
    sw.Certificate(dataclasses.replace(narrow.claim, model=model), "mine").save(path)
    assert run_main("certify", path) == 2
    assert "--model MODULE:ATTRIBUTE" in capsys.readouterr().err


def test_the_installed_command_reports_its_exit_code(small_set):
    too_large(small_set)
    command = [
        os.path.join(os.path.dirname(sys.executable), "safe-wrappers"),
        "certify",
        str(small_set),
    ]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert "counterexample" in finished.stdout
    assert "Traceback" not in finished.stderr
