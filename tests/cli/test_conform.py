import json

import pytest
from PIL import Image

import safe_wrappers as sw
from safe_wrappers.cli import _conform_command


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """A directory with a module of small environments."""
    (tmp_path / "mine.py").write_text(
        "from integrators import Integrator, strong\nexact = "
        "Integrator()\nleaky = Integrator(leak=0.01)\nnumber = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_bundled_system_conforms(run_main, capsys, tmp_path):
    assert (
        run_main(
            "conform",
            "safe_pendulum",
            "--safe-set",
            "narrow",
            "--samples",
            500,
            "--json",
            "--plot",
            tmp_path / "picture.png",
        )
        == 0
    )
    record = json.loads(capsys.readouterr().out)
    assert record["conforms"] is True
    assert record["status"] == "tested"
    assert record["own_disturbance"] is True
    assert (record["system"], record["safe_set"], record["simulator"]) == (
        "safe_pendulum",
        "narrow",
        "SafePendulum on closed_form",
    )
    assert record["steps"]["random"] == 500
    assert max(record["excess"].values()) <= 1
    assert abs(record["cover"]["upper"][0]) < 1e-4
    assert record["seconds"] > 0
    assert record["compiled"]["right"] is True
    assert record["compiled"]["findings"]["facets x states"] > 100_000
    with Image.open(tmp_path / "picture.png") as image:
        image.verify()
        assert image.size[0] > image.size[1] > 500


def test_a_compiler_that_is_wrong_is_exit_code_1(run_main, capsys, at_home, monkeypatch):
    def wrong(system):
        raise sw.ContractError(f"The rows of {type(system).__name__} are wrong.")

    monkeypatch.setattr(_conform_command, "check_compiled", wrong)
    assert run_main("conform", "mine:exact", "--samples", 50) == 1
    assert "System are wrong." in capsys.readouterr().out
    assert run_main("conform", "mine:exact", "--samples", 50, "--json") == 1
    record = json.loads(capsys.readouterr().out)
    assert record["conforms"] is True
    assert record["compiled"]["right"] is False
    assert "are wrong" in record["compiled"]["message"]


@pytest.mark.slow
def test_an_environment_of_ones_own_conforms_or_not(run_main, capsys, at_home):
    assert run_main("conform", "mine:exact", "--samples", 200) == 0
    printed = capsys.readouterr().out
    assert "all that differs from the undisturbed model must fit into W" in printed
    assert "Conforms (tested, not proved)" in printed
    assert "With confidence 1 - 1e-06" in printed
    assert run_main("conform", "mine:strong", "--samples", 200, "--plot", "picture.png") == 1
    printed = capsys.readouterr().out
    assert "Does not conform" in printed
    assert "A W for the next synthesis: -0.24 to 0.24" in printed
    assert (at_home / "picture.png").exists()
    assert run_main("conform", "mine:leaky", "--samples", 200, "--json") == 1
    record = json.loads(capsys.readouterr().out)
    assert record["fitted"] is None
    assert record["unexplained"][1] == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("conform safe_pendulm", "unknown system 'safe_pendulm'; did you mean 'safe_pendulum'?"),
        ("conform safe_pendulum --backend spring", "'closed_form', 'generalized', 'mjx'"),
        ("conform safe_pendulum --safe-set ful", "did you mean 'full'?"),
        (
            "conform safe_pendulum --samples 0",
            "--samples is 0, but it must be an integer of at least 1",
        ),
        (
            "conform safe_pendulum --plot picture.pdf",
            "--plot must end in .png, but it is picture.pdf.",
        ),
        ("conform safe_pendulum --plot nowhere/picture.png", "folder that can be written to"),
        (
            "conform mine:exact --backend mjx",
            "--backend chooses for a bundled system, but mine:exact is an environment of its own.",
        ),
        ("conform mine:nothing", "unknown attribute of mine for the environment 'nothing'"),
        (
            "conform mine:number",
            "`env` must be a single environment of Brax or Gymnasium, or a "
            "`PlaygroundSafeguardWrapper`, but it is a `int`.",
        ),
    ],
)
def test_a_wrong_argument_gets_one_line_and_exit_code_2(
    run_main, capsys, at_home, command, message
):
    assert run_main(*command.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert message in printed.err
