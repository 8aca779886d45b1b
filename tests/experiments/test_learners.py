"""The learners of a study: all seeds, all evaluations, and options that their trainers know."""

import dataclasses

import jax
import numpy as np
import pytest

from safe_wrappers.experiments import Learner, load_study
from safe_wrappers.experiments._evaluation import JudgedEvaluation, subject
from safe_wrappers.experiments._learners import check_options, train

BRAX = {
    "ppo": {"num_envs": 4, "unroll_length": 4, "batch_size": 4, "num_minibatches": 1},
    "sac": {"num_envs": 4, "batch_size": 8, "min_replay_size": 8},
}


def row_of(study, algorithm, options, **given):
    learner = Learner("learner", algorithm, options=options)
    return dataclasses.replace(study.rows[1], learner=learner, **given)


@pytest.mark.parametrize("algorithm", ["shac", "ppo", "sac"])
def test_options_that_a_trainer_does_not_have_are_refused(study, algorithm):
    check_options(row_of(study, algorithm, {"num_envs": 4, "learning_rate": 1e-3}))
    with pytest.raises(ValueError, match=r"'num_env'; .*Did you mean 'num_envs'"):
        check_options(row_of(study, algorithm, {"num_env": 4}))


@pytest.mark.parametrize("name", ["seed", "num_timesteps", "regularisation", "num_evals"])
def test_options_that_a_row_decides_are_no_options_of_its_learner(study, name):
    with pytest.raises(ValueError, match=f"unexpected keyword argument '{name}'"):
        check_options(row_of(study, "shac", {name: 1}))


def test_the_learners_of_the_studies_have_options_that_there_are():
    for row in load_study("paper").rows:
        check_options(row)


@pytest.mark.slow  # compiles the trainers of Brax
@pytest.mark.parametrize("algorithm", ["ppo", "sac"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_trainers_of_brax_leave_policies_of_every_seed_on_the_way(study, algorithm, tmp_path):
    row = row_of(study, algorithm, {**BRAX[algorithm], "hidden_layer_sizes": [8]})
    done = []
    env = subject(row.task, row.variant, evaluated=False).wrapper
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    outcome = train(row, env, scratch, done.append)
    steps = [interactions for interactions, _ in outcome.snapshots]
    assert steps == sorted(set(steps))
    assert len(steps) == (3 if algorithm == "ppo" else 2)  # SAC shows none before its training
    assert sum(done) >= row.num_timesteps * row.seeds
    assert list(scratch.iterdir()) == []
    leaves = jax.tree.leaves(outcome.snapshots[-1][1])
    assert all(len(leaf) == row.seeds for leaf in leaves)
    assert any(np.abs(leaf[0] - leaf[1]).max() > 1e-3 for leaf in leaves if leaf.ndim > 1)
    judged = JudgedEvaluation(row, row.variant, outcome.make_policy)(outcome.snapshots[-1][1])
    assert judged.returns.shape == (2,)
    assert judged.exits.sum() == judged.judged_exits.sum() == 0
    assert outcome.counts == {}
