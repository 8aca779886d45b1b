"""The state of rest around which a set is built."""

import jax.numpy as jnp
import numpy as np

import safe_wrappers as sw
from safe_wrappers.synthesis._equilibrium import equilibrium


def test_rest_is_found_where_a_step_moves_little_of_a_large_range():
    """A boat that comes in at 1.5 m/s, the middle of its speeds, moves by 0.3 m in a step: little
    of 118 m, but it is no state of rest.
    """

    def boat(x, thrust, wind):
        distance, speed = x  # m, m/s; N; N
        drag = 60.0 * speed * jnp.abs(speed)
        speed = speed + 0.2 * (thrust[0] + wind[0] - drag) / 2000.0
        return jnp.stack([distance - 0.2 * speed, speed])

    model = sw.Model("boat", boat, 2, disturbance_size=1, action_box=sw.Box([-1500.0], [3000.0]))
    limits = sw.Box([2.0, -1.0], [120.0, 4.0])
    found = equilibrium(model, limits, sw.Box.symmetric([300.0]))
    np.testing.assert_allclose(found, [61.0, 0.0], atol=1e-4)
