import json
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.algos import shac
from safe_wrappers.algos.shac import checkpoint, engines
from safe_wrappers.plots import learning_curve

ONE_UPDATE = {"num_timesteps": 32, "num_evals": 1}
TIMES = {"training/sps", "training/walltime", "training/compile_time"}


def assert_equal(tree, other):
    jax.tree.map(np.testing.assert_array_equal, tree, other)


def test_every_run_is_the_training_of_its_seed_and_options(line, tiny):
    """After one update rounding is all that differs; later it grows."""
    options = {**tiny, **ONE_UPDATE}
    many = shac.train_many(
        line, **options, seeds=[3, 5], sweep={"learning_rate": [1e-3, 4e-3], "tau": [0.5]}
    )
    assert many.runs == tuple(
        {"seed": seed, "learning_rate": rate, "tau": 0.5}
        for rate in (1e-3, 4e-3)
        for seed in (3, 5)
    )
    assert len(many) == len(list(many)) == 4
    for i in (0, 3):
        one, found = shac.train(line, **options, **many.runs[i]), many[i]
        for a, b in zip(
            jax.tree.leaves((one.params, one.best_params)),
            jax.tree.leaves((found.params, found.best_params)),
            strict=True,
        ):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        for name in (
            set(one.metrics) - TIMES - {"eval/walltime", "eval/epoch_eval_time", "eval/sps"}
        ):
            np.testing.assert_allclose(found.metrics[name], one.metrics[name], rtol=1e-4, atol=1e-5)
    # The seeds and the learning rates differ, so must the policies.
    weights = np.concatenate(
        [np.reshape(leaf, (4, -1)) for leaf in jax.tree.leaves(many.params[1])], axis=1
    )
    assert len(np.unique(weights, axis=0)) == 4
    with pytest.raises(IndexError, match="There are 4 runs"):
        many[4]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, make_line):
    """Three runs with checkpoints, and what the callbacks have seen."""
    folder, seen, reports = tmp_path_factory.mktemp("many"), [], []
    options = {
        "num_timesteps": 96,
        "episode_length": 12,
        "num_envs": 4,
        "horizon_length": 8,
        "num_critic_updates": 2,
        "num_eval_envs": 4,
        "num_evals": 4,
        "seeds": range(3),
    }

    def look(step, make_policy, params):
        act = lambda params: make_policy(params, True)(jnp.ones(1), jax.random.PRNGKey(0))[0][0]  # noqa: E731
        actions = jax.vmap(act)(params)
        seen.append(step)
        return {"action": np.asarray(actions), "all": 7.0}

    many = shac.train_many(
        make_line(),
        **options,
        save_checkpoint_path=str(folder),
        policy_params_fn=look,
        progress_fn=lambda *report: reports.append(report),
    )
    return folder, options, many, seen, reports


def test_callbacks_see_all_runs_and_the_history_keeps_them(recorded):
    _, _, many, seen, reports = recorded
    assert seen == [step for step, _ in reports] == [0, 32, 64, 96]
    assert many.history == reports
    assert reports[-1][1] is many.metrics
    for _, metrics in reports:
        assert {np.shape(value) for value in metrics.values()} == {(3,)}
    assert len(set(many.metrics["action"])) == 3
    assert many.metrics["all"].tolist() == [7.0] * 3
    assert many.metrics["training/env_steps"].tolist() == [96] * 3
    act = many.make_policy(many[1].params, deterministic=True)
    assert act(jnp.ones(1), None)[0][0] == pytest.approx(many[1].metrics["action"])
    figure = learning_curve(many.history, agent="SHAC")
    top = figure.axes[0]
    assert [line.get_xdata()[-1] for line in top.lines][:1] == [96]
    assert len(top.collections) == 1  # the band


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(recorded, line):
    folder, options, many, _, _ = recorded
    resumed = shac.train_many(line, **options, restore_checkpoint_path=str(folder / f"{32:012d}"))
    assert_equal(resumed.params, many.params)
    assert_equal(resumed.best_params, many.best_params)
    for name in ("eval/episode_reward", "eval/best_env_steps", "training/episodes"):
        assert_equal(resumed.metrics[name], many.metrics[name])
    assert [step for step, _ in resumed.history] == [32, 64, 96]


def test_a_checkpoint_holds_every_run_and_is_no_policy_by_itself(recorded):
    folder, _, many, _, _ = recorded
    assert checkpoint.load_runs(folder) == [{"seed": seed} for seed in range(3)]
    assert_equal(checkpoint.load(folder, run=2), many[2].params)
    with pytest.raises(ValueError, match="holds 3 runs side by side: `run` must be from 0 to 2"):
        sw.load_policy(folder)
    with pytest.raises(ValueError, match="but it is 3"):
        checkpoint.load(folder, run=3)
    row = json.loads((folder / f"{96:012d}" / "history.json").read_text())[-1]
    assert row["eval/episode_reward"] == many.metrics["eval/episode_reward"].tolist()


def test_a_checkpoint_of_other_runs_is_refused(recorded, line):
    folder, options, _, _, _ = recorded
    with pytest.raises(ValueError, match="must be a checkpoint of the runs"):
        shac.train_many(
            line, **{**options, "seeds": range(1, 4)}, restore_checkpoint_path=str(folder)
        )
    alone = {name: value for name, value in options.items() if name != "seeds"}
    with pytest.raises(ValueError, match="of one run of `train`, but it is of the runs"):
        shac.train(line, **alone, restore_checkpoint_path=str(folder))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"seeds": 3}, TypeError, "for one seed there is `train`"),
        ({"seeds": []}, ValueError, "at least one seed"),
        ({"seeds": [1, 1]}, ValueError, "each of them once"),
        ({"seeds": [0, -1]}, ValueError, r"`seeds\[1\]`"),
        ({"seed": 0}, sw.UnknownOptionError, "'seed'.*Did you mean"),
        ({"mesh": None}, sw.UnknownOptionError, "'mesh'"),
        ({"sweep": [1e-3]}, TypeError, "must be a dictionary"),
        ({"sweep": {"num_envs": [4, 8]}}, ValueError, "may differ in learning_rate"),
        ({"sweep": {"tau": 0.5}}, TypeError, "must be a list of values"),
        ({"sweep": {"tau": []}}, ValueError, "at least one value"),
        ({"sweep": {"tau": [0.5, 2.0]}}, ValueError, r"`sweep\['tau'\]\[1\]`"),
        ({"sweep": {"regularisation": [None]}}, TypeError, "`sweep"),
        ({"sweep": {"regularisation": [0.1]}}, ValueError, "needs a safeguarded environment"),
        ({"sweep": {"tau": [0.5]}, "tau": 0.5}, ValueError, "given or swept"),
        ({"num_envs": 0}, ValueError, "`num_envs`"),
    ],
)
def test_nonsense_is_refused_before_anything_is_compiled(
    line, monkeypatch, options, error, message
):
    monkeypatch.setattr(engines, "SideBySide", None)
    with pytest.raises(error, match=message):
        shac.train_many(line, 32, 12, **options)


def test_hints_say_of_how_many_runs_they_speak(line, tiny):
    with pytest.warns(shac.TrainingHint, match=r"2 of 3 runs\. The training ended worse") as seen:
        many = shac.train_many(
            line,
            **{**tiny, "num_eval_envs": 32},
            seeds=[0],
            sweep={"learning_rate": [1e-6, 100.0, 200.0]},
        )
    assert [len(hints) for hints in many.hints] == [0, 1, 1]
    assert many[1].hints == many.hints[1]
    assert len(seen) == 1
    assert seen[0].filename == __file__
    assert many.metrics["eval/best_env_steps"][1] < 192


def test_swept_options_are_those_of_the_compiled_program():
    from safe_wrappers.algos.shac.learner import Hyperparameters
    from safe_wrappers.algos.shac_arguments import SWEPT

    assert set(SWEPT) == set(Hyperparameters._fields) - {"num_updates"}


@pytest.mark.slow
def test_ten_seeds_of_the_pendulum_learn_without_a_single_violation(pendulum):
    with warnings.catch_warnings():
        warnings.simplefilter("error", shac.TrainingHint)
        many = shac.train_many(pendulum, 20_000, 240, seeds=range(10))
    assert many.metrics["training/violations"].tolist() == [0] * 10
    assert (many.metrics["training/smallest_margin"] >= 0).all()
    assert (many.metrics["eval/episode_reward"] > -30).all()
