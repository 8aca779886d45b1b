import jax
import jax.numpy as jnp
import pytest

from safe_wrappers import ModelError
from safe_wrappers.envs.dynamics import cart_pole, pendulum
from safe_wrappers.models import Model, require_affine


def model(step, n=2, d=2, k=2):
    return Model("test", step, n, d, k)


def mass(x):
    return jnp.array([[2.0 + jnp.cos(x[0]), x[1]], [x[1], 3.0]])


def loop_over_states(x, a, w):
    return jax.lax.fori_loop(0, 3, lambda i, y: jnp.abs(y) * 0.5, x) + a + w


AFFINE = {
    "states in any way": lambda x, a, w: (
        jnp.sin(x) * a + jnp.exp(x @ x) * w / (1.0 + x**2) + jnp.abs(x)
    ),
    "matrices": lambda x, a, w: jnp.outer(x, jnp.cos(x)) @ a + jnp.diag(x) @ w,
    "loops and choices over states": lambda x, a, w: (
        jnp.where(x > 0, a, w) + loop_over_states(x, a, w)
    ),
    "sums and slices": lambda x, a, w: jnp.stack([jnp.sum(a) - w[0], a[::-1][0] / x[1]]),
    "jitted": lambda x, a, w: jax.jit(lambda u: 2.0 * u)(a) + x,
    "without action": lambda x, a, w: x,
    "scattered sums": lambda x, a, w: x.at[0].add(a[0]).at[jnp.array([1, 1])].add(w),
    "cumulative sums": lambda x, a, w: x + jnp.cumsum(a) + jnp.cumsum(w)[::-1],
    "a branch of the state": lambda x, a, w: jax.lax.cond(
        x[0] > 0, lambda: x + a, lambda: jnp.abs(x) - w
    ),
    "a condition as a number": lambda x, a, w: x + a * (x > 0) + w,
    "friction": lambda x, a, w: x - 0.1 * jnp.sign(x) - jnp.abs(x) * x + jnp.clip(x, -1, 1) + a + w,
    "an index of the state": lambda x, a, w: jnp.array([1.0, 2.0])[jnp.argmax(x)] * a + w,
    "solve": lambda x, a, w: jnp.linalg.solve(mass(x), jnp.outer(a, x)) @ x + w,
    "solve by Cholesky factors": lambda x, a, w: (
        jax.scipy.linalg.solve(mass(x), a - x, assume_a="pos") + w
    ),
    "inv": lambda x, a, w: jnp.linalg.inv(mass(x)) @ a + w,
    "a determinant": lambda x, a, w: jnp.linalg.det(jnp.diag(jnp.append(x, 2.0))) * a + w,
    "a power of one": lambda x, a, w: x**1.5 + a**1 + w,
    "substeps": lambda x, a, w: jax.lax.fori_loop(0, 4, lambda i, y: y + 0.1 * (a - y) + w, a),
}

REFUSED = {
    "sin": lambda x, a, w: x + jnp.sin(a),
    "mul": lambda x, a, w: x + a * w,
    "div": lambda x, a, w: x / (2.0 + w),
    "integer_pow|square": lambda x, a, w: x + a**2,
    "max": lambda x, a, w: x + jnp.maximum(a, 0.0),
    "clamp|max|min": lambda x, a, w: jnp.clip(x + a, -1.0, 1.0),
    "mul|dot_general": lambda x, a, w: x + jnp.dot(a, a),
    "custom_linear_solve|stop_gradient": lambda x, a, w: jnp.linalg.solve(jnp.diag(2 + a), x) + w,
    "pow": lambda x, a, w: x + a**2.0,
    "sort": lambda x, a, w: x + jnp.sort(a),
    "sign": lambda x, a, w: x + jnp.sign(0 * a),
    "abs": lambda x, a, w: x + jnp.abs(a),
    "round": lambda x, a, w: x + jnp.round(w),
    "convert_element_type": lambda x, a, w: x + a.astype(int),
    "dynamic_slice|convert_element_type": lambda x, a, w: x + x[a[0].astype(int)],
    "lt": lambda x, a, w: jax.lax.cond(a[0] < 0, lambda: x + a, lambda: x - a),
    "reduce_max": lambda x, a, w: x + jnp.max(a),
    "select_n|convert_element_type|gt": lambda x, a, w: x + a * (w > 0),
    "gt": lambda x, a, w: jnp.where(a > 0, x, -x),
    "while": lambda x, a, w: jax.lax.while_loop(lambda y: y[0] < 1.0, lambda y: y * 2.0, a) + x,
    "cos": lambda x, a, w: jax.lax.fori_loop(0, 2, lambda i, y: y + 0.1 * jnp.cos(y), x + a),
}


@pytest.mark.gpu
@pytest.mark.smoke
@pytest.mark.parametrize("bundled", [pendulum(), cart_pole()], ids=lambda m: m.name)
def test_the_bundled_models_are_affine(bundled):
    require_affine(bundled)


@pytest.mark.gpu
@pytest.mark.parametrize("case", AFFINE)
def test_affine_models_are_accepted(case):
    require_affine(model(AFFINE[case]))


@pytest.mark.parametrize("name", REFUSED)
def test_other_models_are_refused_by_the_primitive(name):
    with pytest.raises(ModelError, match=f"`({name})`"):
        require_affine(model(REFUSED[name]))


def test_a_model_that_is_affine_at_every_sample_is_refused():
    """The quadratic part vanishes for |a| <= 1 up to rounding, so that no sampling would find
    it.
    """
    with pytest.raises(ModelError, match="must be affine in"):
        require_affine(model(lambda x, a, w: x + a + 1e-30 * a * a))
