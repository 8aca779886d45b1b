import subprocess
import sys

import jax
import pytest

import safe_wrappers as sw
from safe_wrappers._compilation_cache import use_compilation_cache

from .conftest import CHANGED


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("trian safe_pendulum", "unknown command 'trian'; did you mean 'train'?"),
        ("--hepl", "unknown option '--hepl'; did you mean '--help'?"),
        (
            "train safe_pendulm --logdir x",
            "unknown system 'safe_pendulm'; did you mean 'safe_pendulum'?",
        ),
        (
            "train safe_pendulum --logdir x --safeguard boundary",
            "unknown safeguard 'boundary'; did you mean 'boundary_projection'?",
        ),
        (
            "train safe_pendulum --logdir x --safeguard zzz",
            "unknown safeguard 'zzz'; valid: boundary_projection, ray_mask, gauge_map, "
            "generator_mask, replacement, none.",
        ),
        (
            "train safe_pendulum --logdir x --sede 1",
            "unknown option '--sede'; did you mean '--seed'?",
        ),
        (
            "train safe_pendulum --logdir x --sede=1",
            "unknown option '--sede'; did you mean '--seed'?",
        ),
        ("train safe_pendulum again --logdir x", "unexpected argument 'again'"),
        (
            "train safe_pendulum --logdir x --seed abc",
            "Error parsing --seed: invalid literal for int() with base 10: 'abc'.",
        ),
        ("train safe_pendulum", "--logdir"),
        (
            "train safe_pendulum --logdir x --seed -1",
            "--seed is -1, but it must be an integer of at least 0",
        ),
        (
            "train safe_pendulum --logdir x --num-timesteps 0",
            "--num-timesteps is 0, but it must be an integer of at least 1",
        ),
        (
            "train safe_pendulum --logdir x --num-evals 1",
            "--num-evals is 1, but it must be an integer of at least 2",
        ),
        (
            "train safe_pendulum --logdir x --regularisation nan",
            "--regularisation is nan, but it must be a finite number, at least 0",
        ),
        (
            "train safe_pendulum --logdir x --learning-rate 0",
            "--learning-rate is 0.0, but it must be a finite number, at least 1e-12",
        ),
        (
            "train safe_pendulum --logdir x --safe-set ful",
            "unknown safe set of safe_pendulum 'ful'; did you mean 'full'?",
        ),
        (
            "train safe_pendulum --logdir x --safe-set ful.json",
            "the certificate file ful.json does not exist.",
        ),
        (
            "train safe_pendulum --logdir x --x-target 1",
            "unknown option of safe_pendulum '--x-target'; did you mean '--target-angle'?",
        ),
        (
            "train safe_pendulum --logdir x --target-angle 9",
            "--target-angle is 9.0, but it must be a finite number, at least -6.28319",
        ),
        (
            "train inverted_pendulum --logdir x",
            "A system of your own is MODULE:ATTRIBUTE, for example plants:drone",
        ),
        ("synthesise safe_pendulum --facets 6 --output x.json --constraints a", "must be ranges"),
        (
            "synthesise safe_pendulum --facets 6 --output x.json --constraints -1:1",
            "--constraints must have one range for each of the 2 states x of safe_pendulum, but it "
            "has 1.",
        ),
        (
            "synthesise safe_pendulum --facets 6 --output x.json --disturbances 1:-1",
            "lower",
        ),
        (
            "train safe_pendulum --logdir x --commands virtual",
            "--commands is for systems with virtual inputs, safe_arm and safe_quadrotor_3d, but "
            "safe_pendulum has none",
        ),
        (
            "train safe_arm --logdir x --commands virtul",
            "--commands is 'virtul', but it must be one of 'actions', 'virtual'",
        ),
        ("show safe_seeker --commands virtual", "but safe_seeker has none"),
        ("conform safe_quadrotor --commands virtual", "but safe_quadrotor has none"),
        ("audit safe_cart_pole --output x --commands virtual", "but safe_cart_pole has none"),
        ("train safe_pendulum --logdir x --disturbance unform", "Did you mean 'uniform'?"),
        ("train safe_pendulum --logdir x --backend spring", "'closed_form', 'generalized', 'mjx'"),
        ("train safe_pendulum --logdir x --backend mjx", "no gradients"),
        ("train safe_pendulum --logdir x --initial-states generators", "use 'uniform'"),
        ("evaluate nowhere", "nowhere is not the folder of a run"),
        (
            "evaluate nowhere --num-episodes 0",
            "--num-episodes is 0, but it must be an integer of at least 1",
        ),
        ("certify safe_pendulm", "did you mean 'safe_pendulum'?"),
        ("certify nowhere.json", "the certificate file nowhere.json does not exist."),
        ("certify safe_pendulum --safe-set narow", "did you mean 'narrow'?"),
        ("synthesise safe_pendulm --facets 6 --output x.json", "did you mean 'safe_pendulum'?"),
        ("synthesise safe_pendulum --facets 3 --output x.json", "`facets` must be at least 4"),
        ("synthesise safe_pendulum --facets 6 --output x.txt", "--output must end in .json"),
        (
            "synthesise safe_pendulum --facets 6 --output nowhere/x.json",
            "folder that can be written to",
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
    assert printed.err.startswith("safe-wrappers: ")
    assert message in printed.err
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_printed(run_main, capsys):
    with pytest.raises(SystemExit) as exit:
        run_main("--version")
    assert exit.value.code == 0
    assert capsys.readouterr().out == f"safe-wrappers {sw.__version__}\n"


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["--help"],
        ["train", "--help"],
        ["evaluate", "-h"],
        ["show", "--help"],
        ["certify", "--help"],
        ["conform", "--help"],
        ["synthesise", "--help"],
        ["experiment", "--help"],
    ],
)
def test_help_is_printed(run_main, capsys, command):
    with pytest.raises(SystemExit) as exit:
        run_main(*command)
    assert exit.value.code == 0
    assert "usage: safe-wrappers" in capsys.readouterr().out


def test_importing_the_command_line_is_light_and_switches_nothing_on():
    # What a command needs is imported by it: the help texts need none of these.
    code = "import sys, jax; before = dict(jax.config.values); import safe_wrappers.cli as c\n"
    code += (
        "assert before.items() <= jax.config.values.items(); print([m for m in ('matplotlib', "
        "'tensorboardX') if m in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed.splitlines()[-1] == "[]"


def test_the_compilation_cache_is_of_the_user(monkeypatch, tmp_path):
    before = {name: jax.config.values[name] for name in CHANGED}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        jax.config.update("jax_compilation_cache_dir", None)  # that of the tests
        use_compilation_cache()
        assert jax.config.values["jax_compilation_cache_dir"] == str(
            tmp_path / "safe-wrappers" / "jax"
        )
        # A folder that was chosen before stays.
        monkeypatch.setenv("XDG_CACHE_HOME", "elsewhere")
        use_compilation_cache()
        assert jax.config.values["jax_compilation_cache_dir"] == str(
            tmp_path / "safe-wrappers" / "jax"
        )
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
