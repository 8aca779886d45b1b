import jax.numpy as jnp
import numpy as np
import pytest
from integrators import Integrator

import safe_wrappers as sw
from safe_wrappers.evaluation import Evaluation, episode_keys

POLICIES = {
    "push": lambda push, state, key: push,
    "spin": lambda rate, state, key: rate * state.obs[:1],
}
PARAMETERS = {"push": jnp.array([1.0]), "spin": jnp.array(0.2)}
STEPS = 12


@pytest.fixture(scope="module")
def raw():
    return sw.envs.get_environment("safe_pendulum", safe_set="narrow")


@pytest.fixture(scope="module")
def evaluations(raw):
    keys = episode_keys(5, seed=3)
    guarded = sw.SafeguardWrapper(raw, sw.BoundaryProjection(), regularisation=0.5)
    return {
        "raw": Evaluation(raw, POLICIES, keys, STEPS),
        "guarded": Evaluation(guarded, POLICIES, keys, STEPS),
    }


def test_episodes_are_paired_over_policies_and_wrappings(evaluations):
    runs = [
        evaluation(policy, PARAMETERS) for evaluation in evaluations.values() for policy in POLICIES
    ]
    starts = np.stack([run.x[0] for run in runs])
    assert np.ptp(starts, axis=0).max() == 0
    assert len(np.unique(starts[0], axis=0)) == 5
    assert not np.array_equal(runs[0].x[1], runs[1].x[1])
    assert episode_keys(5, seed=3).tolist() != episode_keys(5, seed=4).tolist()


def test_what_happened_is_recorded_step_by_step(raw, evaluations):
    run = evaluations["guarded"]("push", PARAMETERS)
    assert run.x.shape == (STEPS + 1, 5, 2)
    x, action = np.asarray(run.x[1:]).reshape(-1, 2), np.asarray(run.action).reshape(-1, 1)
    expected = -(x[:, 0] ** 2 + 0.1 * x[:, 1] ** 2 + 0.001 * action[:, 0] ** 2)
    # The task's reward on executed actions, without the regularisation.
    assert np.asarray(run.reward).reshape(-1) == pytest.approx(expected, rel=1e-5)
    assert run.returns == pytest.approx(np.asarray(run.reward).sum(axis=0))
    assert run.margin[-1, 2] == pytest.approx(float(raw.system.margin(run.x[-1, 2])), abs=1e-6)
    assert run.intervention.sum() > 5
    assert (np.abs(action - 1) > 1e-3).sum() == run.intervention.sum()


def test_metrics_tell_the_safe_from_the_unsafe(evaluations):
    safe = evaluations["guarded"]("push", PARAMETERS).metrics()
    unsafe = evaluations["raw"]("push", PARAMETERS).metrics()
    assert safe["eval/violations"] == 0
    assert safe["eval/smallest_margin"] > 0
    assert safe["eval/interventions_per_step"] > 0
    assert unsafe["eval/violations"] > 5
    assert unsafe["eval/smallest_margin"] < 0
    assert unsafe["eval/interventions_per_step"] == 0


class Ending(Integrator):
    """Ends an episode where x1 > 0.25, and gives 1 for each step."""

    def step(self, state, action):
        state = super().step(state, action)
        return state.replace(done=1.0 * (state.obs[0] > 0.25), reward=jnp.ones(()))


def test_nothing_is_counted_after_the_end_of_an_episode():
    guarded = sw.SafeguardWrapper(Ending(push=0.0), sw.BoundaryProjection())
    push = {"push": lambda push, state, key: push}
    run = Evaluation(guarded, push, episode_keys(6, seed=0), STEPS)(
        "push", {"push": jnp.array([0.2])}
    )
    ends = np.argmax(np.asarray(run.x)[1:, :, 0] > 0.25, axis=0)
    assert ends.max() > 1
    assert run.returns.tolist() == (ends + 1).tolist()
    assert np.asarray(run.alive).sum(axis=0).tolist() == (ends + 1).tolist()
    for episode, end in enumerate(ends):
        assert np.ptp(np.asarray(run.x)[end + 1 :, episode], axis=0).max() == 0
        assert not np.asarray(run.intervention)[end + 1 :, episode].any()
    taken = float(np.sum(run.intervention) / np.sum(run.alive))
    assert run.metrics()["eval/interventions_per_step"] == taken
