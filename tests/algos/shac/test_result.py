import copy
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.envs.base import Wrapper

from safe_wrappers.algos import shac
from safe_wrappers.algos.shac.result import Best, decline_hint, leaning_hint, standard_error


class Unsafe:
    """Makes every request of an environment unsafe, by its own report, while |x| > `beyond`."""

    def __init__(self, beyond):
        self.beyond = beyond

    def __call__(self, env):
        state_of = env._state

        def reported(x, state):
            unsafe = (jnp.abs(x[0]) > self.beyond).astype(jnp.float32)
            state = state_of(x, state)
            metrics = {**state.metrics, "safeguard/intervention_per_step": unsafe}
            return state.replace(metrics=metrics)

        env._state = reported
        return env


class Reported(Wrapper):
    """A safeguarded environment that says of each step that the safeguard intervened."""

    def reset(self, rng):
        return self._reported(self.env.reset(rng))

    def step(self, state, action):
        return self._reported(self.env.step(state, action))

    def _reported(self, state):
        return state.replace(
            metrics={**state.metrics, "safeguard/intervention_per_step": jnp.ones(())}
        )


@pytest.fixture
def no_evaluation(tiny):
    return {**tiny, "num_evals": 1, "run_evals": False}


def test_a_policy_that_leans_on_the_safeguard_is_pointed_out(line, no_evaluation):
    with pytest.warns(shac.TrainingHint, match="100% of the last 32 steps of the training") as seen:
        trained = shac.train(Unsafe(-1.0)(line), **no_evaluation)
    assert trained.metrics["training/interventions_per_step"] == 1.0
    assert trained.hints == (str(seen[0].message),)
    assert seen[0].filename == __file__  # the caller's line, not the library's


def test_nothing_is_said_of_a_policy_that_does_not(line, no_evaluation):
    trained = shac.train(Unsafe(1e9)(line), **no_evaluation)  # a warning would be an error here
    assert trained.metrics["training/interventions_per_step"] == 0.0
    assert trained.hints == ()


def test_the_hint_can_be_silenced(line, no_evaluation):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", shac.TrainingHint)
        trained = shac.train(Unsafe(-1.0)(line), **no_evaluation)
    assert len(trained.hints) == 1


def test_the_hint_begins_above_a_third():
    assert leaning_hint(1 / 3, 100, has_its_recipe=False) is None
    assert "34% of the last 1,000 steps" in (leaning_hint(0.34, 1000, has_its_recipe=False) or "")


@pytest.mark.slow
def test_settings_of_other_plants_are_not_advised_for_a_bundled_system(pendulum, line, tiny):
    """Each request of either is unsafe; the pendulum is trained with the settings that suit it."""
    said = []
    for env in (Reported(pendulum), Unsafe(-1.0)(line)):
        with pytest.warns(shac.TrainingHint, match="100% of the last"):
            said += shac.train(
                env, tiny["num_timesteps"], tiny["episode_length"], run_evals=False
            ).hints
    assert ["OWN_PLANT" in hint for hint in said] == [False, True]
    assert "suit this system" in said[0]


def test_a_training_that_ended_worse_says_so_and_keeps_the_best_policy(line, tiny):
    """Steps of the policy that are far too large drive it from a random start to the end of its
    box, away from the target.
    """
    seen = {}
    with pytest.warns(shac.TrainingHint, match="ended worse than it had been"):
        trained = shac.train(
            line,
            **{**tiny, "learning_rate": 100.0, "num_eval_envs": 32},
            policy_params_fn=lambda step, make_policy, params: seen.update({step: params}),
        )
    best = trained.metrics["eval/best_env_steps"]
    assert trained.metrics["eval/best_reward"] > trained.metrics["eval/episode_reward"]
    assert best < trained.metrics["training/env_steps"]
    for found, wanted in ((trained.best_params, seen[best]), (trained.params, seen[192])):
        jax.tree.map(np.testing.assert_array_equal, found, wanted)


def test_the_best_policy_survives_an_interruption(line, tiny, tmp_path):
    options = {**tiny, "learning_rate": 100.0, "num_eval_envs": 32}
    with pytest.warns(shac.TrainingHint):
        whole = shac.train(line, **options, save_checkpoint_path=str(tmp_path))
    with pytest.warns(shac.TrainingHint):
        resumed = shac.train(
            line, **options, restore_checkpoint_path=str(tmp_path / "000000000192")
        )
    assert whole.metrics["eval/best_env_steps"] == resumed.metrics["eval/best_env_steps"] < 192
    jax.tree.map(np.testing.assert_array_equal, whole.best_params, resumed.best_params)


def test_without_evaluations_the_last_policy_is_the_best_that_is_known(line, no_evaluation):
    trained = shac.train(line, **no_evaluation)
    jax.tree.map(np.testing.assert_array_equal, trained.best_params, trained.params)
    assert "eval/best_reward" not in trained.metrics


def test_an_evaluation_that_is_no_number_is_never_the_best():
    best = Best.nothing_yet("start").after("a", 1, -3.0, 0.1)
    assert best.after("b", 2, float("nan"), 0.1) is best
    assert best.after("b", 2, -3.0, 0.1) is best
    assert best.after("b", 2, -2.0, 0.1).params == "b"


def test_a_difference_within_the_noise_is_not_spoken_of():
    best = Best.nothing_yet("start").after("a", 1, -3.0, 0.3)
    assert decline_hint(best, -4.4, 0.4, 64) is None  # the difference has standard error 0.5
    assert "the one after 64 interactions -3." in (decline_hint(best, -4.6, 0.4, 64) or "")
    assert decline_hint(best, float("nan"), 0.4, 64) is None
    assert standard_error({"eval/episode_reward_std": 8.0}, 16) == 2.0


def test_the_result_is_the_triple_of_brax_and_can_be_copied():
    trained = shac.Trained("make", "params", {"a": 1}, "best", ("hint",))
    make_policy, params, metrics = trained
    assert (make_policy, params, metrics) == ("make", "params", {"a": 1})
    assert copy.copy(trained).best_params == "best"
    assert copy.copy(trained).hints == ("hint",)
