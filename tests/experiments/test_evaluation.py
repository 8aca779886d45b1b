"""The judge of episodes: it computes margins itself, and believes no report."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.evaluation import Evaluation
from safe_wrappers.experiments import StudyError, Variant, load_study
from safe_wrappers.experiments._evaluation import JudgedEvaluation, reference_return

NONE, GUARD = Variant("none", "none"), Variant("guard", "boundary_projection")
FORCES = jnp.array([[1.0], [0.0]])  # of two policies


def constant(params, deterministic):
    """Policies that ask for the same action always."""
    assert deterministic
    return lambda observation, key: (params, {})


def margins(actions):
    """Of the states after each step, computed with NumPy, an episode at a time."""
    env = sw.envs.get_environment("safe_pendulum", safe_set="narrow", target_angle=0.8)
    H, h = (np.asarray(part, np.float64) for part in env.system.safe_state_set.halfspaces())
    reset, step, found = jax.jit(env.reset), jax.jit(env.step), []
    for key in sw.evaluation.episode_keys(4, 0):
        state = reset(key)
        for _ in range(16):
            state = step(state, actions)
            x = np.asarray(env.system.state(state), np.float64)
            found.append(min(h[i] - sum(H[i] * x) for i in range(len(h))))
    return np.array(found)


def test_exits_are_those_that_numpy_counts(study):
    judged = JudgedEvaluation(study.rows[0], NONE, constant)(FORCES)
    expected = margins(FORCES[0])
    assert judged.judged_exits[0] == judged.exits[0] == np.sum(expected < 0) > 20
    assert judged.smallest_margin[0] == pytest.approx(expected.min(), rel=1e-3)


def test_the_judge_sees_exits_that_nobody_reports(study, monkeypatch):
    honest = Evaluation._record

    def silent(self, state, action, alive):
        found = honest(self, state, action, alive)
        return found._replace(violation=0 * found.violation, margin=jnp.ones_like(found.margin))

    monkeypatch.setattr(Evaluation, "_record", silent)
    judged = JudgedEvaluation(study.rows[0], NONE, constant)(FORCES)
    assert judged.exits.tolist() == [0, 0]
    assert judged.judged_exits[0] > 20
    assert judged.smallest_margin[0] < 0


def test_behind_a_safeguard_the_same_requests_leave_nowhere(study):
    judged = JudgedEvaluation(study.rows[0], GUARD, constant)(FORCES)
    assert judged.exits.tolist() == judged.judged_exits.tolist() == [0, 0]
    assert np.all(judged.smallest_margin > 0)
    assert judged.unsafe_requests[0] > 0.3
    assert judged.returns[0] != judged.returns[1]


def test_a_task_without_a_regulator_says_so(written):
    plant = ('"safe_pendulum"', '"safe_quadrotor"')
    options = ('options = { safe_set = "narrow", target_angle = 0.8 }', "")
    (row, *_) = load_study(written(plant, options)).rows
    with pytest.raises(StudyError, match=r"tasks.pendulum.reference must be one .*'none'"):
        reference_return(row)


def test_no_reference_is_none(written):
    study = load_study(written(("num_timesteps = 64", 'num_timesteps = 64\nreference = "none"')))
    assert reference_return(study.rows[0]) is None
