"""What the wrapper reports of gradients."""

import jax
import jax.numpy as jnp
import numpy as np

import safe_wrappers as sw
from safe_wrappers.envs import SafePendulum

DIAGNOSTICS = (
    "rank_per_step",
    "lost_gradient_per_step",
    "smallest_singular_value_per_step",
    "largest_singular_value_per_step",
)


def test_the_wrapper_reports_diagnostics_only_when_asked():
    bare, guarded = (
        sw.SafeguardWrapper(SafePendulum(), sw.BoundaryProjection(), diagnostics=asked)
        for asked in (False, True)
    )
    names = {f"safeguard/{name}" for name in DIAGNOSTICS}
    start = jax.eval_shape(guarded.reset, jax.random.PRNGKey(0))
    after = jax.eval_shape(guarded.step, start, jnp.zeros(1))
    assert (
        set(start.metrics) - set(jax.eval_shape(bare.reset, jax.random.PRNGKey(0)).metrics) == names
    )
    assert jax.tree.structure(start) == jax.tree.structure(after)
    assert jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), start
    ) == jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), after)

    def steps(env):
        def step(x, action):
            after = env.step(SafePendulum().reset_to(x, jax.random.PRNGKey(0)), action)
            return after.reward, after.metrics

        both = jax.value_and_grad(step, (0, 1), has_aux=True)
        # At 7.5 rad/s the request 0.9 is projected and -0.9 is not.
        return jax.jit(jax.vmap(both, (None, 0)))(jnp.array([0.0, 7.5]), jnp.array([[0.9], [-0.9]]))

    ((_, metrics), gradients), (_, plain) = steps(guarded), steps(bare)
    for found, wanted in zip(gradients, plain, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    expected = {
        "rank": [0, 1],
        "lost_gradient": [1, 0],
        "smallest_singular_value": [0, 1],
        "largest_singular_value": [0, 1],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(
            metrics[f"safeguard/{name}_per_step"], values, atol=1e-6, err_msg=name
        )
