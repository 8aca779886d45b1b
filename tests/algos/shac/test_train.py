import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.algos import shac
from safe_wrappers.algos.shac.rollout import wrap
from safe_wrappers.algos.shac.settings import check_regularisation, default_regularisation


def leaves_equal(a, b):
    return all(
        np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


@pytest.mark.slow
def test_an_ordinary_brax_environment_is_learned(line):
    reports = []
    make_policy, params, metrics = shac.train(
        line,
        num_timesteps=4000,
        episode_length=10,
        num_envs=8,
        num_evals=3,
        seed=1,
        progress_fn=lambda *report: reports.append(report),
    )
    assert [step for step, _ in reports] == [0, 2048, 4032]
    assert reports[-1][1] == metrics
    assert metrics["eval/episode_reward"] > 0.3 * reports[0][1]["eval/episode_reward"]
    assert metrics["training/env_steps"] == 4032
    assert metrics["training/violations"] == 0
    assert "training/interventions" not in metrics
    policy = make_policy(params, deterministic=True)
    assert policy(jnp.array([0.5]), jax.random.PRNGKey(0))[0] < -0.2
    assert policy(jnp.array([-0.5]), jax.random.PRNGKey(0))[0] > 0.2


def test_a_resumed_training_equals_the_uninterrupted_one(line, tiny, tmp_path):
    whole, resumed = [], []
    save = str(tmp_path / "run")
    _, params, metrics = shac.train(
        line, **tiny, save_checkpoint_path=save, progress_fn=lambda *report: whole.append(report)
    )
    assert sorted(folder.name for folder in (tmp_path / "run").iterdir()) == [
        "000000000064",
        "000000000128",
        "000000000192",
    ]
    _, again, metrics_again = shac.train(
        line,
        **tiny,
        restore_checkpoint_path=save + "/000000000064",
        progress_fn=lambda *report: resumed.append(report),
    )
    assert leaves_equal(params, again)
    timing = {
        "eval/walltime",
        "eval/sps",
        "eval/epoch_eval_time",
        "training/sps",
        "training/walltime",
        "training/compile_time",
    }
    assert {k: v for k, v in metrics.items() if k not in timing} == {
        k: v for k, v in metrics_again.items() if k not in timing
    }
    assert [step for step, _ in resumed] == [step for step, _ in whole][1:]
    for (_, a), (_, b) in zip(whole[1:], resumed, strict=True):
        assert a["eval/episode_reward"] == b["eval/episode_reward"]
    # A finished training is reported again and not trained on.
    _, finished, _ = shac.train(line, **tiny, restore_checkpoint_path=save)
    assert leaves_equal(params, finished)


def test_a_saved_policy_is_the_trained_one(line, tiny, tmp_path):
    make_policy, params, _ = shac.train(line, **tiny, save_checkpoint_path=str(tmp_path))
    obs, key = jnp.array([0.3]), jax.random.PRNGKey(0)
    np.testing.assert_array_equal(
        sw.load_policy(tmp_path)(obs, key)[0],
        make_policy(params, deterministic=True)(obs, key)[0],
    )


def test_the_seed_decides_and_a_batched_environment_is_used_as_it_is(line, tiny):
    options = {**tiny, "num_evals": 1}
    _, params, _ = shac.train(line, **options)
    _, same, _ = shac.train(wrap(line, 12), **options, wrap_env=False, eval_env=wrap(line, 12))
    _, other, _ = shac.train(line, **options, seed=1)
    assert leaves_equal(params, same)
    assert not leaves_equal(params[1], other[1])


def test_policy_params_fn_sees_every_evaluated_policy(line, tiny):
    seen = []
    shac.train(
        line,
        **tiny,
        policy_params_fn=lambda step, make_policy, params: seen.append(
            (step, make_policy(params)(jnp.zeros(1), jax.random.PRNGKey(0))[0].shape)
        ),
    )
    assert seen == [(step, (1,)) for step in (0, 64, 128, 192)]


def test_without_evaluations_the_training_is_the_same(line, tiny):
    """Callbacks come as before, and no episode is run for them."""
    reports = []
    _, params, _ = shac.train(line, **tiny)
    _, same, metrics = shac.train(
        line,
        **tiny,
        run_evals=False,
        progress_fn=lambda step, metrics: reports.append((step, set(metrics))),
    )
    assert leaves_equal(params, same)
    assert [step for step, _ in reports] == [0, 64, 128, 192]
    assert all(name.startswith("training/") for _, names in reports for name in names)
    assert metrics["training/env_steps"] == 192


def test_regularisation_defaults_to_the_safeguard_that_needs_it(pendulum, line):
    raw = pendulum.env
    assert default_regularisation(pendulum) == 0.1
    assert default_regularisation(line) == 0.0
    assert default_regularisation(raw) == 0.0
    assert (
        default_regularisation(
            sw.SafeguardWrapper(raw, sw.BoundaryProjection(), regularisation=0.1)
        )
        == 0.0
    )


def test_regularisation_in_both_reward_and_loss_is_refused(pendulum):
    in_reward = sw.SafeguardWrapper(pendulum.env, sw.BoundaryProjection(), regularisation=0.2)
    with pytest.raises(ValueError, match="penalised once"):
        shac.train(in_reward, num_timesteps=128, episode_length=8, regularisation=0.1)
    check_regularisation(in_reward, 0.0)
    check_regularisation(pendulum, 0.1)


def test_regularisation_needs_a_safeguard(line):
    with pytest.raises(ValueError, match="needs a safeguarded environment"):
        shac.train(line, num_timesteps=128, episode_length=8, regularisation=0.1)


def test_structured_observations_are_refused(make_line):
    class Nested(make_line):
        observation_size = {"state": (1,)}  # noqa: RUF012

    with pytest.raises(ValueError, match="Observations must be vectors"):
        shac.train(Nested(), num_timesteps=8, episode_length=8)


@pytest.mark.smoke
def test_the_pendulum_improves_without_a_single_violation(pendulum):
    reports = []
    _, _, metrics = shac.train(
        pendulum,
        num_timesteps=2500,
        episode_length=240,
        num_evals=2,
        progress_fn=lambda *report: reports.append(report),
    )
    assert metrics["training/violations"] == 0
    assert metrics["eval/episode_safeguard/left_set_per_step"] == 0
    assert metrics["training/smallest_margin"] >= 0
    assert metrics["training/interventions"] > 0
    assert metrics["training/fallbacks"] == 0
    assert metrics["eval/episode_reward"] > 0.25 * reports[0][1]["eval/episode_reward"]


def lqr_return(env, num_states=128, steps=240):
    """Clipped LQR (on the reward, linearised upright) through the same safeguard, and the paired
    return of any policy.
    """
    import scipy.linalg

    A, B = (
        np.array([[1 + 0.05**2 * 14.715, 0.05], [0.05 * 14.715, 1.0]]),
        np.array([[0.05**2 * 90.0], [0.05 * 90.0]]),
    )
    Q, R = np.diag([1.0, 0.1]), np.array([[0.001]])
    P = scipy.linalg.solve_discrete_are(A, B, Q, R)
    gain = jnp.asarray(np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A)[0], jnp.float32)

    @functools.partial(jax.jit, static_argnums=0)
    def mean_return(policy):
        def step(state, _):
            state = env.step(state, policy(state))
            return state, state.reward

        run = lambda key: jax.lax.scan(step, env.reset(key), length=steps)[1].sum()  # noqa: E731
        return jax.vmap(run)(jax.random.split(jax.random.PRNGKey(2025), num_states)).mean()

    lqr = mean_return(lambda state: jnp.clip(-jnp.sum(gain * env.system.state(state)), -1, 1)[None])
    return float(lqr), mean_return


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    ("options", "gap"),
    [({}, 0.06), ({"safe_set": "walter2025", "initial_states": "generators"}, 0.05)],
    ids=["full", "walter2025"],
)
def test_every_seed_comes_close_to_the_clipped_lqr(seed, options, gap):
    env = sw.SafeguardWrapper(
        sw.envs.get_environment("safe_pendulum", **options), sw.BoundaryProjection()
    )
    make_policy, params, metrics = shac.train(
        env, num_timesteps=20_000, episode_length=240, seed=seed
    )
    lqr, mean_return = lqr_return(env)
    policy = make_policy(params, deterministic=True)
    found = float(mean_return(lambda state: policy(state.obs, jax.random.PRNGKey(0))[0]))
    assert metrics["training/violations"] == 0
    assert found > (1 + gap) * lqr


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_every_seed_balances_the_cart_pole_from_anywhere(seed):
    """From 99 % of 1,024 uniform starts it stands in the middle in the last second of 480 steps,
    under worst-case disturbances.
    """
    env, worst = (
        sw.SafeguardWrapper(
            sw.envs.get_environment("safe_cart_pole", disturbance=kind), sw.BoundaryProjection()
        )
        for kind in ("uniform", "worst_case")
    )
    make_policy, params, metrics = shac.train(
        env, 80_000, episode_length=480, run_evals=False, seed=seed, **shac.TUNED["safe_cart_pole"]
    )
    policy = make_policy(params, deterministic=True)

    def step(state, _):
        state = worst.step(state, policy(state.obs, jax.random.PRNGKey(0))[0])
        return state, (worst.system.state(state), state.metrics["left_set_per_step"])

    run = jax.jit(jax.vmap(lambda key: jax.lax.scan(step, worst.reset(key), length=480)[1]))
    x, left = run(jax.random.split(jax.random.PRNGKey(123), 1024))
    standing = (jnp.abs(x[:, -50:, 0]) < 0.5) & (jnp.abs(x[:, -50:, 1]) < 0.05)
    assert metrics["training/violations"] == left.sum() == 0
    assert standing.all(axis=1).mean() >= 0.99
