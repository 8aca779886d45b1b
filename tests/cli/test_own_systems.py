"""Systems of a user's own on the command line: `square_plant`, beside the tests."""

import json

import numpy as np
import pytest
import square_plant

import safe_wrappers as sw
from safe_wrappers.algos import shac
from safe_wrappers.cli._options import Train
from safe_wrappers.cli._subject import program, subject_of

from .conftest import TINY

OPTIONS = TINY[2:]


@pytest.fixture(scope="module")
def own_run(run_main, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "run"
    assert run_main("train", "square_plant:made", *OPTIONS, "--logdir", folder) == 0
    return folder


def test_a_training_has_all_that_a_bundled_system_has(own_run):
    files = {entry.name for entry in own_run.iterdir()}
    assert {
        "options.json",
        "summary.json",
        "metrics.csv",
        "learning_curve.png",
        "phase_portrait.png",
        "episode.gif",
        "checkpoints",
        "tensorboard",
    } <= files
    assert "viewer.html" not in files  # there are no bodies
    summary = json.loads((own_run / "summary.json").read_text())
    assert summary["system"] == "square_plant:made"
    assert summary["guarantee"]["status"] == "proved"
    assert summary["violations"] == 0
    assert summary["lqr_return"] > summary["best_return"]
    assert summary["no_regulator"] is None


def test_it_is_evaluated_and_refuses_what_has_changed(
    run_main, own_run, capsys, monkeypatch, tmp_path
):
    assert run_main("evaluate", own_run, "--num-episodes", 4) == 0
    assert "square_plant:made, boundary projection, seed 5: checkpoint 000000000064" in (
        capsys.readouterr().out
    )
    more = ("--num-timesteps", 128, "--logdir", own_run)
    monkeypatch.setattr("square_plant.Square.target", 0.25)
    assert run_main("train", "square_plant:made", *OPTIONS[2:], *more) == 2
    error = capsys.readouterr().err
    assert "a run of square_plant:made as it was" in error
    assert error.count("\n") == 1
    assert run_main("evaluate", own_run, "--num-episodes", 4) == 0
    assert "square_plant:made has changed since the training" in capsys.readouterr().err


def digest(system, **options):
    return program(subject_of(Train(system=system, logdir=".", **options)))


def test_the_digest_is_that_of_what_is_computed():
    first = digest("square_plant:env")
    assert digest("square_plant:made") == first
    others = [
        digest("square_plant:elsewhere"),
        digest("square_plant:made", disturbance="none"),
        digest("square_plant:env", safeguard="none"),
        digest("square_plant:env", safeguard="ray_mask"),
    ]
    assert len({first, *others}) == 5


def test_the_safeguard_of_a_wrapped_environment_is_taken():
    subject = subject_of(Train(system="square_plant:guarded", logdir="."))
    assert (subject.safeguard, subject.projected) == ("replacement", False)
    assert isinstance(subject.guarded.safeguard, sw.Replacement)
    subject = subject_of(Train(system="square_plant:wrapped_simulator", logdir="."))
    assert (subject.safeguard, subject.projected) == ("boundary_projection", True)


@pytest.mark.slow
def test_a_simulator_that_leaves_the_set_sends_its_user_to_conform(
    run_main, tmp_path, capsys, monkeypatch
):
    train = shac.train

    def quick(*args, **settings):
        return train(*args, **{**settings, "num_critic_updates": 1})

    monkeypatch.setattr(shac, "train", quick)
    name = "square_plant:wrapped_simulator"
    assert run_main("train", name, *OPTIONS, "--logdir", tmp_path / "run") == 1
    printed = capsys.readouterr()
    assert f"The safety of {name} is tested, not proved" in printed.out
    assert "no baseline: Integrator does not step a model" in printed.out
    assert f"run `safe-wrappers conform {name}`" in printed.err
    assert (tmp_path / "run" / "phase_portrait.png").exists()


@pytest.mark.parametrize(
    "target", ["square_plant:certificate", "square_plant:claim", "square_plant:env"]
)
def test_certificates_claims_and_environments_are_proved_and_shown(
    run_main, tmp_path, capsys, target
):
    assert run_main("certify", target, "--json") == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["proved"] is True
    picture = tmp_path / "picture.png"
    assert run_main("show", target, "--state", "0.9", "0", "--output", picture) == 0
    assert picture.stat().st_size > 10_000


def test_a_set_is_synthesised_proved_shown_and_trained_on(run_main, tmp_path, capsys, monkeypatch):
    file = tmp_path / "square.json"
    search = ("synthesise", "square_plant:model", "--facets", 4, "--seeds", 1, "--iterations", 30)
    given = ("--constraints", "-1:1,-0.5:0.5", "--disturbances", "-0.1:0.1")
    assert run_main(*search, *given, "--output", file) == 0
    assert f"show {file} --model square_plant:model" in capsys.readouterr().out
    claim = sw.Certificate.load(file, square_plant.model).claim
    np.testing.assert_allclose(claim.constraint_set.upper, [1, 0.5])
    np.testing.assert_allclose(claim.disturbance_set.lower, [-0.1])
    assert run_main("certify", file, "--model", "square_plant:model") == 0
    monkeypatch.chdir(tmp_path)
    assert run_main("show", file, "--model", "square_plant:model", "--state", "0.9", "0") == 0
    assert (tmp_path / "square_boundary_projection.png").exists()
    named = ("--constraints", "limits", "--disturbances", "pushes")
    assert run_main(*search, *named, "--output", tmp_path / "named.json") == 0


def test_a_file_of_python_can_be_named(run_main, tmp_path, capsys):
    (tmp_path / "03_plant.py").write_text("from square_plant import claim\n")
    assert run_main("certify", f"{tmp_path / '03_plant.py'}:claim", "--json") == 0


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train square_plant:model --logdir x", "a `Model` has no observations and rewards"),
        ("train square_plant:claim --logdir x", "a safe set has no observations and rewards"),
        ("train square_plant:simulator --logdir x", "put it into a `SafeguardWrapper("),
        (
            "train square_plant:number --logdir x",
            "but it is a `int`; a training needs an environment of Brax.",
        ),
        ("train square_plant:evn --logdir x", "'evn'; did you mean 'env'?"),
        ("train squar_plant:env --logdir x", "No module named 'squar_plant'"),
        ("train nowhere.py:env --logdir x", "there is no file nowhere.py"),
        ("train square_plant: --logdir x", "must be MODULE:ATTRIBUTE"),
        ("train square_plant:broken --logdir x", "RuntimeError: there is no such plant"),
        ("train square_plant:needs --logdir x", "missing a required argument: 'argument'"),
        (
            "train square_plant:env --logdir x --disturbance none",
            "square_plant:env is made already, so --disturbance comes too late",
        ),
        (
            "train square_plant:made --logdir x --safe-set full",
            "square_plant:made has no parameter 'safe_set', so --safe-set cannot be given",
        ),
        (
            "train square_plant:made --logdir x --disturbance strong",
            "'uniform', 'none', 'worst_case'",
        ),
        (
            "train square_plant:guarded --logdir x --safeguard ray_mask",
            "safeguarded already by Replacement, so --safeguard cannot choose another",
        ),
        ("conform square_plant:model", "a model conforms to itself"),
        ("certify square_plant:model", "search for a set with `safe-wrappers synthesise"),
        ("certify square_plant:number", "but it is a `int`; name one of these."),
        ("certify square_plant:env --safe-set full", "has one set"),
        ("certify square_plant:env --model square_plant:model", "knows its model"),
        ("show square_plant:env --model square_plant:model", "--model is for a certificate file"),
        ("show square_plant:env --safe-set full", "--safe-set chooses for a bundled system"),
        ("show nowhere.json", "the certificate file nowhere.json does not exist."),
        (
            "synthesise square_plant:model --facets 4 --output x.json",
            "square_plant:model needs --constraints, a range low:high for each state, such as "
            '--constraints "-1:1,-1:1".',
        ),
        (
            "synthesise square_plant:model --facets 4 --output x.json --constraints limits",
            "needs --disturbances, a range low:high for each disturbance",
        ),
        (
            "synthesise square_plant:model --facets 4 --output x.json --constraints number",
            "must be a `Box` or a `Polytope`, but it is a `int`.",
        ),
        (
            "synthesise square_plant:model --facets 4 --output x.json --constraints pushes",
            "one range for each of the 2 dimensions",
        ),
        (
            "synthesise square_plant:env --facets 4 --output x.json",
            "must be a `safe_wrappers.Model` or a function that returns one, but it is a `Square`.",
        ),
        (
            "synthesise square_plant:model --facets 4 --output x.json --constraints-of full",
            "--constraints-of is for bundled systems; give --constraints",
        ),
    ],
)
def test_a_wrong_argument_gets_one_line_and_exit_code_2(
    run_main, capsys, monkeypatch, tmp_path, command, message
):
    monkeypatch.chdir(tmp_path)
    assert run_main(*command.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert list(tmp_path.iterdir()) == []
