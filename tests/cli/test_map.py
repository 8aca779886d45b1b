import json

import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.cli._episodes import Episodes, Evaluation, episode_keys
from safe_wrappers.cli._lqr import lqr
from safe_wrappers.cli._map import seeker_map
from safe_wrappers.cli._replay import save_episodes

from .conftest import TINY


@pytest.fixture(scope="module")
def env():
    return sw.envs.get_environment("safe_seeker", disturbance="none")


@pytest.fixture(scope="module")
def episodes(env) -> Episodes:
    """Three episodes straight to the goal, without a safeguard."""
    policy = lambda _, state, key: jnp.clip(state.obs[2:4], -1.0, 1.0)  # noqa: E731
    return Evaluation(env, {"straight": policy}, episode_keys(3, 0), 200)(
        "straight", {"straight": ()}
    )


def test_each_episode_has_a_map_with_its_obstacles_and_its_goal(episodes):
    figure = seeker_map(episodes, title="a run")
    assert (
        figure.get_suptitle()
        == "a run\n3 of 3 evaluation episodes, of which 100% end within 0.5 m of their goal"
    )
    for i, ax in enumerate(figure.axes[:3]):
        circles = [patch for patch in ax.patches if hasattr(patch, "radius")]
        np.testing.assert_allclose(
            [[*circle.center, circle.radius] for circle in circles],
            np.asarray(episodes.x)[0, i, 2:].reshape(2, 3),
            rtol=1e-6,
        )
        lines = {line.get_label(): np.asarray(line.get_xydata()) for line in ax.get_lines()}
        np.testing.assert_array_equal(lines["way"], episodes.x[:, i, :2])
        np.testing.assert_allclose(lines["goal"][0], lines["end"][0], atol=0.5)
        # The straight way leads through an obstacle, where no safeguard prevents it.
        assert len(lines["collision"]) > 3
    assert all(not ax.get_lines() for ax in figure.axes[3:])


def test_the_seeker_has_a_map_and_neither_phase_portrait_nor_viewer(env, episodes, tmp_path):
    assert save_episodes(tmp_path, env, episodes, "a run") == ["map.png"]
    assert [file.name for file in tmp_path.iterdir()] == ["map.png"]


def test_there_is_no_regulator_where_each_episode_has_its_own_goal(env):
    assert lqr(env) is None


def test_certify_says_what_stands_behind_explicit_safe_action_sets(run_main, capsys):
    assert run_main("certify", "safe_seeker") == 0
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert line.startswith("safe_seeker: explicit safe action sets, no safe state set to certify")
    assert run_main("certify", "safe_seeker", "--json") == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["status"], record["proved"]) == ("lemma", True)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("certify", "safe_seeker", "--safe-set", "wide"), "no safe sets to choose from"),
        (
            ("train", "safe_seeker", "--safe-set", "wide", "--logdir", "run"),
            "no safe sets to choose from",
        ),
        (
            ("train", "safe_seeker", "--backend", "generalized", "--logdir", "run"),
            "`backend` must be one of 'closed_form'",
        ),
        (
            ("synthesise", "safe_seeker", "--facets", "8", "--output", "set.json"),
            "there is no safe set to search for",
        ),
    ],
)
def test_what_needs_a_safe_set_is_refused_in_one_line(
    run_main, capsys, monkeypatch, tmp_path, args, message
):
    monkeypatch.chdir(tmp_path)
    assert run_main(*args) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_seeker_is_trained_and_evaluated(run_main, tmp_path):
    folder = tmp_path / "run"
    assert (
        run_main(
            *("safe_seeker" if arg == "safe_pendulum" else arg for arg in TINY), "--logdir", folder
        )
        == 0
    )
    assert run_main("evaluate", folder) == 0
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["safe_set"] is None
    assert summary["lqr_return"] is None
    assert summary["violations"] == 0
    assert (folder / "map.png").exists()
    assert (folder / "evaluation" / "map.png").exists()
