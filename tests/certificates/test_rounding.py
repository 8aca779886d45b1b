import jax
import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers.certificates._intervals import Interval
from safe_wrappers.certificates._rounded import Rounded, total
from safe_wrappers.certificates._rounding import rounding_bound
from safe_wrappers.envs.dynamics import cart_pole, pendulum
from safe_wrappers.models import Model
from safe_wrappers.sets import Box, Polytope


def drag_step(x, a, w):
    speed = jnp.sqrt(1.0 + jnp.dot(x, x))
    return x + 0.1 * (jnp.tanh(x[::-1]) - x / speed + jnp.exp(-x) * a + w / (2.0 + x**2))


def box_polytope(radius):
    H, h = Box.symmetric(np.array(radius)).halfspaces()
    return Polytope((H / h[:, None]).astype(np.float32), np.ones(len(h), np.float32))


def slanted(radius, seed):
    rng = np.random.default_rng(seed)
    H = rng.normal(size=(10, len(radius))) / np.array(radius)
    return Polytope(np.concatenate([H, -H]).astype(np.float32), np.ones(20, np.float32))


CASES = {
    "pendulum": (pendulum(), box_polytope([np.pi, 8.0]), [0.1]),
    "cart_pole": (cart_pole(), box_polytope([2.4, 0.5, 6.7, 4.8]), [0.1, 0.005]),
    "cart_pole slanted": (cart_pole(), slanted([2.4, 0.5, 6.7, 4.8], 0), [0.1, 0.005]),
    "drag": (Model("drag", drag_step, 2, 2, 2), slanted([1.0, 1.0], 1), [0.03, 0.03]),
}


@pytest.mark.parametrize("case", CASES)
def test_float32_errors_of_rows_and_step_stay_below_the_bound(case):
    model, S, w_max = CASES[case]
    W = Box.symmetric(w_max)
    eps, gain = rounding_bound(model, S, W, np.zeros(S.dim))
    assert np.all(eps <= 2e-5)
    rng = np.random.default_rng(0)
    count = 20_000
    x = np.asarray(S.triangulate().sample(jax.random.PRNGKey(0), (count,)), np.float32)
    a = np.clip(rng.uniform(-1.5, 1.5, (count, model.action_size)), -1, 1).astype(np.float32)
    w = np.clip(rng.uniform(-1.5, 1.5, (count, len(w_max))), -1, 1).astype(np.float32) * np.asarray(
        W.upper
    )

    def rows(x, H, w_max):
        c, B, E = model.affine(x)
        A = jnp.sum(H[:, :, None] * B, axis=1)
        push = jnp.sum(H[:, :, None] * E, axis=1)
        return A, jnp.ones((), H.dtype) - jnp.sum(H * c, axis=1) - jnp.sum(
            jnp.abs(push) * w_max, axis=1
        )

    batched = jax.jit(jax.vmap(rows, (0, None, None)))
    step = jax.jit(jax.vmap(model.step))
    H = np.asarray(S.H)
    A, b = (np.asarray(v, np.float64) for v in batched(x, H, np.asarray(W.upper)))
    next_x = np.asarray(step(x, a, w), np.float64)
    with jax.enable_x64():
        A_exact, b_exact = (
            np.asarray(v)
            for v in batched(
                x.astype(np.float64), H.astype(np.float64), np.asarray(W.upper, np.float64)
            )
        )
        next_exact = np.asarray(
            step(x.astype(np.float64), a.astype(np.float64), w.astype(np.float64))
        )
    error = (
        np.abs(A - A_exact).sum(axis=2)
        + np.abs(b - b_exact)
        + np.abs((next_x - next_exact) @ H.astype(np.float64).T)
    )
    assert np.all(error.max(axis=0) <= eps)
    # Not vacuous either: a-priori bounds are pessimistic, but not by orders of magnitude.
    assert np.all(eps <= 100 * error.max())
    assert np.all(np.linalg.norm(A_exact, axis=2).max(axis=0) <= gain)


def test_the_bound_grows_with_the_set_and_sees_every_operation():
    small, large = (
        rounding_bound(pendulum(), box_polytope([r, 8.0]), Box.symmetric([0.1]), np.zeros(2))[0]
        for r in (0.5, 3.0)
    )
    assert small[1] < large[1]
    plain = Model("plain", lambda x, a, w: x + 0.1 * a + w, 1, 1, 1)
    longer = Model("longer", lambda x, a, w: ((x + 100.0) - 100.0) + 0.1 * a + w, 1, 1, 1)
    first, second = (
        rounding_bound(model, box_polytope([1.0]), Box.symmetric([0.1]), np.zeros(1))[0]
        for model in (plain, longer)
    )
    # Adding and removing 100 costs about 100 machine roundings in the rows and in the step.
    assert np.all(second - first >= 2 * 100 * 2.0**-24)


def test_constants_carry_the_error_of_their_own_rounding():
    assert Rounded.constant(0.5).error == 0.0
    assert Rounded.constant(0.1).error == abs(float(np.float32(0.1)) - 0.1)


def test_a_sum_is_bounded_in_every_order():
    terms = [Rounded(Interval.point(v), 0.0) for v in (1e4, -1e4, 1.0, 3.0)]
    bound = total(terms).error
    values = [np.float32(v.exact.lo) for v in terms]
    exact = 4.0
    for order in ((0, 1, 2, 3), (0, 2, 1, 3), (2, 0, 3, 1)):
        result = np.float32(0.0)
        for i in order:
            result = np.float32(result + values[i])
        assert abs(float(result) - exact) <= bound


def test_a_division_that_may_meet_zero_has_no_bound():
    model = Model("pole", lambda x, a, w: x + a / x + w, 1, 1, 1)
    eps, _ = rounding_bound(model, box_polytope([1.0]), Box.symmetric([0.1]), np.zeros(1))
    assert not np.any(eps <= 1e300)
