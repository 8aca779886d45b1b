import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.training import acting

from safe_wrappers.algos.shac import train
from safe_wrappers.algos.shac.evaluator import Evaluator
from safe_wrappers.algos.shac.plan import make_plan
from safe_wrappers.algos.shac_arguments import ARGUMENTS

TIMES = {"eval/walltime", "eval/epoch_eval_time", "eval/sps"}


@pytest.fixture(scope="module")
def plan(make_line):
    """Short evaluations of a few episodes, some of which end early."""

    env = make_line(end=1.2)
    options = {
        name: parameter.default for name, parameter in inspect.signature(train).parameters.items()
    }
    options |= {"environment": env, "num_timesteps": 64, "episode_length": 12, "num_eval_envs": 16}
    return make_plan({name: options[name] for name in ARGUMENTS if name in options})


def brax(plan, key):
    return acting.Evaluator(
        plan.evaluated,
        plan.evaluated_policy,
        num_eval_envs=16,
        episode_length=12,
        action_repeat=1,
        key=key,
    )


def test_metrics_are_those_of_brax_evaluation_after_evaluation(plan):
    key, hyper = jax.random.PRNGKey(5), plan.hyperparameters
    params = plan.learner.init(jax.random.PRNGKey(1), hyper).params
    ours, theirs = Evaluator(plan, params, key), brax(plan, key)
    seen = []
    for _ in range(2):
        found, expected = (each.run_evaluation(params, {"other": 1.0}) for each in (ours, theirs))
        assert set(found) == set(expected)
        for name in set(found) - TIMES:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-6, err_msg=name)
        seen.append(float(found["eval/episode_reward"]))
    assert seen[0] != seen[1]  # other starts
    assert ours.run_evaluation(params, {})["eval/walltime"] > 0


def test_policies_side_by_side_are_evaluated_as_each_of_them(plan):
    keys = jax.vmap(jax.random.PRNGKey)(jnp.arange(3))
    hyper = jax.tree.map(lambda leaf: jnp.full(3, leaf), plan.hyperparameters)
    params = jax.vmap(plan.learner.init)(keys, hyper).params
    found = Evaluator(plan, params, keys).run_evaluation(params, {})
    for run in range(3):
        one = jax.tree.map(lambda leaf, run=run: leaf[run], params)
        expected = brax(plan, keys[run]).run_evaluation(one, {})
        for name in set(expected) - TIMES:
            np.testing.assert_allclose(found[name][run], expected[name], rtol=1e-5, err_msg=name)
