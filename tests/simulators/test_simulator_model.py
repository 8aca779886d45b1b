import jax
import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers import Box
from safe_wrappers.simulators._simulator_model import SimulatorModel

E = np.array([[1.0, 0.0], [0.0, 0.5]], np.float32)


def step(x, a, w):
    """Affine in a, but for a jump of the derivative at a = 0 that no difference over the box
    sees.
    """
    return (
        jnp.stack([x[0] * a[0] + 0.2 * a[1], jnp.sin(x[1]) + a[0] - 3 * a[1]])
        + E.astype(x.dtype) @ w
        + 0 * jnp.abs(a[0])
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_affine_form_by_differences(dtype):
    model = SimulatorModel("plant", step, 2, 2, 2, disturbance_matrix=E)
    with jax.enable_x64():
        x = jnp.array([0.3, 0.4], dtype)
        c, B, disturbance = jax.jit(model.affine)(x)
        for part in (c, B, disturbance):
            assert part.dtype == dtype
    np.testing.assert_allclose(c, [0.0, np.sin(0.4)], atol=1e-6)
    np.testing.assert_allclose(B, [[0.3, 0.2], [1.0, -3.0]], atol=1e-6)
    np.testing.assert_array_equal(disturbance, E)


def test_a_dead_derivative_does_not_matter():
    """What the author of a simulator did not differentiate still acts."""
    model = SimulatorModel(
        "plant",
        lambda x, a, w: x + jax.lax.stop_gradient(2 * a) + w,
        1,
        1,
        1,
        disturbance_matrix=np.eye(1),
    )
    np.testing.assert_allclose(model.affine(jnp.zeros(1)).B, [[2.0]])


def test_differences_are_taken_over_the_action_box():
    model = SimulatorModel(
        "plant",
        lambda x, a, w: x + 0.1 * (a - 2.0) + w,
        1,
        disturbance_size=1,
        action_box=Box([0.0], [4.0]),
        disturbance_matrix=np.eye(1),
    )
    c, B, _ = model.affine(jnp.array([0.5]))
    np.testing.assert_allclose(c, [0.5], atol=1e-6)
    np.testing.assert_allclose(B, [[0.2]], atol=1e-6)
