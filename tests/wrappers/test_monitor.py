"""The runtime monitor: steps that no disturbance in W explains are flagged, and no others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.envs.wrappers import training
from integrators import PUSH, Integrator

import safe_wrappers as sw
from safe_wrappers.envs import SafePendulum


def monitored(env, **options):
    return sw.SafeguardWrapper(env, sw.BoundaryProjection(), monitor=True, **options)


def watch(env, count=64, steps=100, seed=0):
    """Safeguard records, arrays (steps, count), of episodes under bang-bang requests."""
    keys = jax.random.split(jax.random.PRNGKey(seed), count)
    requests = np.random.default_rng(seed).choice([-1.0, 1.0], (steps, count, 1)).astype(np.float32)

    def step(state, request):
        after = jax.vmap(env.step)(state, request)
        return after, (after.info["safeguard"], after.metrics)

    return jax.tree.map(
        np.asarray, jax.jit(lambda: jax.lax.scan(step, jax.vmap(env.reset)(keys), requests)[1])()
    )


def test_it_is_silent_where_the_push_is_exactly_as_large_as_w():
    guard, metrics = watch(monitored(Integrator()))
    assert guard["modelled"].all()
    assert guard["inside"].all()
    assert not metrics["safeguard/unmodelled_per_step"].any()
    np.testing.assert_allclose(np.abs(guard["residual"]), PUSH, atol=1e-6)


def test_it_flags_a_push_that_is_stronger_than_w():
    guard, metrics = watch(monitored(Integrator(push=PUSH * 1.01)))
    assert not guard["modelled"].any()
    assert metrics["safeguard/unmodelled_per_step"].all()
    np.testing.assert_allclose(np.abs(guard["residual"]), PUSH * 1.01, atol=1e-6)


def test_it_flags_the_steps_that_go_wrong_and_no_others():
    guard, _ = watch(monitored(Integrator(fatigue=0.3)), steps=10)
    assert guard["modelled"][:3].all()
    assert not guard["modelled"][3:].any()


def test_a_step_into_nowhere_is_flagged():
    guard, _ = watch(monitored(Integrator(broken=True)))
    unknown = ~np.isfinite(guard["margin"])
    assert unknown.any()
    assert not guard["modelled"][unknown].any()


@pytest.mark.parametrize(
    "backend",
    [
        "closed_form",
        pytest.param("generalized", marks=pytest.mark.slow),
        pytest.param("mjx", marks=pytest.mark.slow),
    ],
)
def test_it_is_silent_on_a_certified_system_under_worst_case_disturbances(backend):
    guard, _ = watch(
        monitored(SafePendulum(safe_set="narrow", backend=backend, disturbance="worst_case"))
    )
    assert guard["modelled"].all()
    assert np.abs(guard["residual"]).max() == pytest.approx(0.1, abs=1e-3)


def test_reset_and_step_return_the_same_tree_and_training_wrappers_accept_it():
    env = training.wrap(monitored(Integrator()), episode_length=10)
    keys = jax.random.split(jax.random.PRNGKey(0), 2)
    state = jax.eval_shape(env.reset, keys)
    after = jax.eval_shape(env.step, state, jnp.zeros((2, 1)))
    assert jax.tree.structure(state) == jax.tree.structure(after)
    for before, leaf in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        assert (before.shape, before.dtype, before.weak_type) == (
            leaf.shape,
            leaf.dtype,
            leaf.weak_type,
        )
    assert state.info["safeguard"]["residual"].shape == (2, 1)


def test_the_gradient_does_not_see_it():
    def gradient(env):
        def loss(action):
            after = env.step(env.env.reset_to(jnp.array([0.2, 0.1]), jax.random.PRNGKey(0)), action)
            return after.reward + sum(
                jnp.sum(value)
                for name, value in after.info.get("safeguard", {}).items()
                if name in ("residual", "modelled")
            )

        return jax.jit(jax.grad(loss))(jnp.array([0.3]))

    silent, watched = (
        gradient(sw.SafeguardWrapper(Integrator(), sw.BoundaryProjection())),
        gradient(monitored(Integrator())),
    )
    assert np.isfinite(silent).all()
    assert silent != 0
    np.testing.assert_array_equal(silent, watched)


def test_off_it_leaves_no_trace():
    state = jax.eval_shape(
        sw.SafeguardWrapper(Integrator(), sw.BoundaryProjection()).reset, jax.random.PRNGKey(0)
    )
    assert "residual" not in state.info["safeguard"]
    assert "safeguard/unmodelled_per_step" not in state.metrics


def test_a_system_without_a_model_cannot_be_monitored():
    with pytest.raises(sw.CertificateError, match="`ExplicitSystem` does not have them"):
        monitored(sw.envs.SafeSeeker())
