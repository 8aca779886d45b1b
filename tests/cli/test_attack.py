"""`safe-wrappers attack` and `safe-wrappers soak`."""

import json

import pytest
import square_plant
from PIL import Image

import safe_wrappers as sw


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """A directory with a certificate file and a module."""
    (tmp_path / "mine.py").write_text(
        "import square_plant\n"
        "import safe_wrappers as sw\n"
        "plant = square_plant.Square(square_plant.claim)\n"
        "safeguarded = sw.SafeguardWrapper(plant, sw.RayMask())\n"
        "number = 3\n"
    )
    square_plant.certificate().save(tmp_path / "square.json")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_plant_without_a_safeguard_is_broken_and_drawn(run_main, capsys, at_home):
    assert run_main("attack", "mine:plant", "--safeguard", "none", "--plot", "worst.png") == 1
    printed = capsys.readouterr().out
    assert "safeguard none" in printed
    assert "Broken: of " in printed
    assert printed.endswith("Wrote worst.png.\n")
    with Image.open("worst.png") as image:
        image.verify()
        assert image.size[0] > image.size[1] > 500


@pytest.mark.parametrize(
    "target", [["square_plant:claim"], ["square.json", "--model", "square_plant:model"]]
)
def test_the_plant_of_a_claim_is_not_broken(run_main, capsys, at_home, target):
    assert run_main("attack", *target, "--budget", 1, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["kind"], record["broken"], record["target"]) == ("attack", False, target[0])
    assert record["claim"] == square_plant.claim.digest
    assert record["versions"]["jax"]


def test_a_safeguard_of_ones_own_is_tried_as_it_is(run_main, capsys, at_home):
    assert run_main("attack", "mine:safeguarded", "--budget", 1) == 0
    assert "safeguard RayMask" in capsys.readouterr().out
    assert run_main("attack", "mine:safeguarded", "--safeguard", "replacement") == 2
    assert "safeguarded already by RayMask; leave out --safeguard" in capsys.readouterr().err


def test_a_soak_counts_and_goes_on(run_main, capsys, at_home):
    command = ["soak", "mine:plant", "--steps", 200_000, "--state", "soak.json", "--json"]
    assert run_main(*command) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["kind"], first["steps"], first["exits"]) == ("soak", 262_144, 0)
    assert run_main(*command) == 0
    assert json.loads(capsys.readouterr().out)["seconds"] == first["seconds"]
    assert run_main("soak", "mine:plant", "--steps", 300_000, "--state", "soak.json") == 0
    printed = capsys.readouterr().out
    assert "Held: 524,288 steps, no exit" in printed
    assert "goes on from soak.json" in printed
    assert run_main("soak", "mine:plant", "--steps", 1, "--safeguard", "none") == 1
    assert "Did not hold" in capsys.readouterr().out


@pytest.mark.parametrize("target", [pytest.param("safe_arm", marks=pytest.mark.slow), "arm.json"])
def test_virtual_inputs_are_commanded(run_main, capsys, at_home, target):
    sw.envs.load_certificate("safe_arm", "2_links").save(at_home / "arm.json")
    command = ["attack", target, "--commands", "virtual", "--json", "--budget", 1]
    assert run_main(*command) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["commands"], record["broken"]) == ("virtual", False)
    assert "commanded by virtual inputs" in record["system"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("attack safe_pendulu", "did you mean 'safe_pendulum'?"),
        ("attack mine:number", "must be a `Certificate`, a `Claim`, or a system"),
        ("attack safe_pendulum --safeguard ray", "--safeguard is 'ray', but it must be one of"),
        ("attack mine:plant --plot worst.gif", "--plot must end in .png"),
        ("attack mine:plant --safe-set full", "--safe-set chooses for a bundled system"),
        ("attack mine:plant --commands virtual", "was told what is commanded when it was made"),
        (
            "soak square.json --model square_plant:model --steps 1 --commands virtual",
            "needs a set that is kept in virtual inputs",
        ),
        ("soak mine:plant --steps 0", "--steps"),
        ("soak mine:plant --steps 1 --state mine.py", "--state must end in .json"),
        ("soak mine:plant --steps 1 --state square.json", "must be the file of a soak"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(run_main, capsys, at_home, command, said):
    assert run_main(*command.split()) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
