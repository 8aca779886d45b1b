import jax
import jax.numpy as jnp
import pytest

from safe_wrappers import ModelError
from safe_wrappers.envs.dynamics import cart_pole, pendulum
from safe_wrappers.models import Model, require_affine


def model(step, n=2, d=2, k=2):
    return Model("test", step, n, d, k)


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
    "gt": lambda x, a, w: jnp.where(a > 0, x, -x),
    "while": lambda x, a, w: jax.lax.while_loop(lambda y: y[0] < 1.0, lambda y: y * 2.0, a) + x,
    "cos": lambda x, a, w: jax.lax.fori_loop(0, 2, lambda i, y: y + 0.1 * jnp.cos(y), x + a),
}


@pytest.mark.smoke
@pytest.mark.parametrize("bundled", [pendulum(), cart_pole()], ids=lambda m: m.name)
def test_the_bundled_models_are_affine(bundled):
    require_affine(bundled)


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
