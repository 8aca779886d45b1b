"""Analytic gradients through the safeguarded step, an intervened one too, against finite
differences in float64.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import keys, states_in

import safe_wrappers as sw
from safe_wrappers.envs import SafeCartPole, SafePendulum, SafeQuadrotor

H = 1e-6


@functools.cache
def step_of(backend, gradient="exact"):
    """The safeguarded step (q, qd, a) -> (q', qd', reward, obs), and whether it intervened; and its
    Jacobians in both modes. In float64.
    """
    env = sw.SafeguardWrapper(
        SafePendulum(safe_set="narrow", backend=backend),
        sw.BoundaryProjection(gradient=gradient),
        regularisation=0.1,
    )

    def step(q, qd, action):
        state = env.reset(jax.random.PRNGKey(0))
        state = state.replace(pipeline_state=env._pipeline_init(jnp.concatenate([q, qd])))
        after = env.step(state, action)
        assert {
            leaf.dtype
            for leaf in jax.tree.leaves(
                (after.obs, after.reward, after.metrics, after.info["safeguard"])
            )
        } == {jnp.dtype("float64")}
        outputs = jnp.concatenate(
            [after.pipeline_state.q, after.pipeline_state.qd, after.reward[None], after.obs]
        )
        return outputs, after.info["safeguard"]

    with jax.enable_x64():
        modes = [
            jax.jit(jax.vmap(mode(lambda *arguments: step(*arguments)[0], (0, 1, 2))))
            for mode in (jax.jacfwd, jax.jacrev)
        ]
        return jax.jit(jax.vmap(step)), *modes


def samples(count=200):
    """States near and far from the boundary, and requests: most of them are intervened with.

    Float64.
    """
    x = states_in(SafePendulum(safe_set="narrow"), count).astype(np.float64)
    request = np.random.default_rng(0).uniform(-0.98, 0.98, count)
    return x[:, :1], x[:, 1:], request[:, None]


@pytest.mark.parametrize(
    "backend", ["closed_form", pytest.param("generalized", marks=pytest.mark.slow)]
)
def test_the_gradients_of_the_wrapped_step_are_those_of_finite_differences(backend):
    with jax.enable_x64():
        step, forward, reverse = step_of(backend)
        arguments = samples()
        _, guard = step(*arguments)
        intervened = np.asarray(guard["intervened"]) == 1
        moved = np.asarray(guard["distance"])
        assert 0.2 < intervened.mean() < 0.8
        # A finite difference across the kink measures neither side: requests within 1e-4 of the
        # boundary are left out.
        nudged = [
            np.asarray(step(arguments[0], arguments[1], arguments[2] + shift)[1]["intervened"]) == 1
            for shift in (-1e-4, 1e-4)
        ]
        smooth = (intervened == nudged[0]) & (intervened == nudged[1])
        assert np.sum(smooth & intervened & (moved > 0.01)) > 30
        errors = []
        for index in range(3):
            shifts = [
                tuple(value + sign * H * (i == index) for i, value in enumerate(arguments))
                for sign in (-1, 1)
            ]
            low, high = (np.asarray(step(*shifted)[0]) for shifted in shifts)
            difference = (high - low) / (2 * H)
            for jacobians in (forward(*arguments), reverse(*arguments)):
                error = np.abs(np.asarray(jacobians[index])[..., 0] - difference)
                # A state at the boundary has two facets that meet nearby; a central difference
                # there is a mixture.
                errors.append(np.where(smooth[:, None], error, 0))
        assert np.max(errors) < 1e-6
        for one, other in zip(forward(*arguments), reverse(*arguments), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "safeguard"),
    [
        (SafeCartPole, sw.RayMask()),
        (SafeQuadrotor, sw.BoundaryProjection()),
        pytest.param(SafeCartPole, sw.BoundaryProjection(), marks=pytest.mark.slow),
        pytest.param(SafeQuadrotor, sw.RayMask(), marks=pytest.mark.slow),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_the_derivative_of_the_safe_action_with_respect_to_the_state_is_that_of_finite_differences(
    kind, safeguard
):
    """Along random directions, at states near and far from the boundary of the safe set, in
    float64.
    """
    env, count = kind(), 300
    rng = np.random.default_rng(0)
    with jax.enable_x64():
        x = np.asarray(jax.vmap(env.system.sample_initial)(keys(0, count)), np.float64)
        gauge = 1 - np.asarray(jax.vmap(env.system.margin)(x))
        x[::2] *= ((1 - 1e-3) / gauge[::2])[:, None]
        direction = rng.normal(size=x.shape)
        request = rng.uniform(-0.98, 0.98, (count, env.action_size))

        @jax.jit
        def differences(x, direction, request):
            def act(x):
                output = jax.vmap(lambda x, a: sw.safe_action(env.system, safeguard, x, a))(
                    x, request
                )
                return output.action, output

            low, high = (act(x + step * direction)[0] for step in (-H, H))
            action, derivative, output = jax.jvp(act, (x,), (direction,), has_aux=True)
            return (high - low) / (2 * H), (high + low - 2 * action) / H, derivative, output

        central, jump, derivative, output = jax.device_get(differences(x, direction, request))
    assert derivative.dtype == np.float64
    assert output.feasible.all()
    assert output.intervened.mean() > 0.1
    scale = 1 + np.abs(central).max(axis=1)
    # a kink shows as one-sided differences that disagree
    smooth = np.abs(jump).max(axis=1) < 1e-3 * scale
    print(
        f"{kind.__name__}: {np.sum(~smooth)} kinks of {count}, {output.intervened.sum()} "
        "interventions"
    )
    assert smooth.mean() > 0.97
    moved = np.abs(derivative).max(axis=1) > 1e-3
    assert moved[smooth].mean() > 0.1
    assert (np.abs(derivative - central).max(axis=1) / scale)[smooth].max() < 1e-6


@pytest.mark.smoke
def test_an_intervention_cuts_the_gradient_of_the_action_and_turns_that_of_the_state():
    """Where the boundary decides, the next state lies on a facet: a change of the request moves
    nothing, a change of the state slides along.
    """
    with jax.enable_x64():
        step, _, reverse = step_of("closed_form")
        arguments = samples()
        moved = np.asarray(step(*arguments)[1]["distance"]) > 0.01
        d_q, d_qd, d_a = (np.asarray(value)[moved, :2, 0] for value in reverse(*arguments))
        np.testing.assert_array_equal(d_a, 0)
        facets = np.asarray(step_env().system.safe_state_set.halfspaces()[0], np.float64)
        for derivative in (d_q, d_qd):
            slide = np.abs(derivative @ facets.T).min(axis=1)
            assert slide.max() < 1e-12


def test_passthrough_keeps_the_gradient_of_the_action():
    """d a_s / d a = 1: the derivative of the next state w.r.t. an unsafe request is that of the
    environment at the safe action.
    """
    with jax.enable_x64():
        arguments = samples(20)
        _, _, reverse = step_of("closed_form", "passthrough")
        np.testing.assert_allclose(
            np.asarray(reverse(*arguments)[2])[:, :2, 0], np.tile([0.225, 4.5], (20, 1)), rtol=1e-12
        )


def step_env():
    return SafePendulum(safe_set="narrow")


def test_a_long_rollout_has_a_finite_gradient():
    """Through 60 safeguarded steps, most of them interventions, in float32."""
    env = sw.SafeguardWrapper(
        SafePendulum(safe_set="narrow", disturbance="worst_case"), sw.BoundaryProjection()
    )

    def loss(gain, key):
        def step(state, _):
            state = env.step(state, jnp.tanh(gain * state.obs[:1]))
            return state, (state.reward, state.info["safeguard"]["intervened"])

        rewards, intervened = jax.lax.scan(step, env.reset(key), None, 60)[1]
        return jnp.sum(rewards), jnp.mean(intervened)

    gradients, intervened = jax.jit(jax.vmap(jax.grad(loss, has_aux=True), in_axes=(None, 0)))(
        jnp.float32(30.0), jax.random.split(jax.random.PRNGKey(0), 32)
    )
    assert intervened.mean() > 0.5
    assert np.isfinite(gradients).all()
    assert np.any(gradients != 0)
