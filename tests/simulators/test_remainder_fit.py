import jax
import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw

KEY = jax.random.PRNGKey(0)
X, W = sw.Box.symmetric([1.0, 2.0]), sw.Box.symmetric([0.5])


def bent(x, a, w):
    """Leaves over (0.1 |x_1| a^2, 0.3 a^2 w) about a = 0, w = 0: at most (0.2, 0.15)."""
    return jnp.stack(
        [x[0] + a[0] + 0.1 * jnp.abs(x[1]) * a[0] ** 2, x[1] + a[0] + w[0] + 0.3 * a[0] ** 2 * w[0]]
    )


MODEL = sw.Model("bent", bent, 2, 1, 1)


def test_extreme_states_and_actions_are_sampled():
    fit = sw.fit_remainder(MODEL, X, W, KEY, samples=2_000, safety=2.0)
    np.testing.assert_allclose(fit.largest, [0.2, 0.15], rtol=0.02)
    np.testing.assert_allclose(fit.half_widths, 2 * fit.largest)
    assert fit.half_widths.dtype == np.float32
    assert str(fit).startswith(
        "tested, not proved: remainder at most (0.2, 0.15) at 2,000 "
        "samples; 2 times that is declared"
    )


def test_a_polytope_is_sampled_to_its_corners():
    # reaches x_1 = 2 in one corner only
    triangle = sw.Polytope([[-1.0, 0.0], [0.0, -1.0], [1.0, 1.0]], [1.0, 1.0, 1.0])
    assert 0.19 < sw.fit_remainder(MODEL, triangle, W, KEY, samples=2_000).largest[0] <= 0.2


def test_an_affine_model_leaves_nothing_but_rounding():
    model = sw.Model("affine", lambda x, a, w: x + jnp.sin(x) * a[0] + w, 2, 1, 2)
    assert (
        sw.fit_remainder(model, X, sw.Box.symmetric([0.1, 0.1]), KEY, samples=500).largest.max()
        < 1e-6
    )


def test_what_does_not_fit_is_refused():
    with pytest.raises(TypeError, match=r"`model` is .* but it must be a `Model`; an environment"):
        sw.fit_remainder(bent, X, W, KEY)
    with pytest.raises(
        sw.SetDimensionError,
        match="`states` must have dimension 2 for the model 'bent', but it has 3",
    ):
        sw.fit_remainder(MODEL, sw.Box.symmetric([1.0] * 3), W, KEY)
    with pytest.raises(sw.SetDimensionError, match="`disturbance_set` must have dimension 1"):
        sw.fit_remainder(MODEL, X, X, KEY)
    with pytest.raises(sw.SetDimensionError, match="must be bounded"):
        sw.fit_remainder(MODEL, sw.Box.symmetric([1.0, np.inf]), W, KEY)
    with pytest.raises(ValueError, match=r"`safety` is 0\.5, but it must be a finite number, at"):
        sw.fit_remainder(MODEL, X, W, KEY, safety=0.5)
    with pytest.raises(sw.ModelError, match="must be finite on `states`"):
        sw.fit_remainder(
            sw.Model("log", lambda x, a, w: jnp.log(x) + a + w[0], 2, 1, 1), X, W, KEY, samples=100
        )
