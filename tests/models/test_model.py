import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from safe_wrappers._errors import ModelError
from safe_wrappers.envs import dynamics
from safe_wrappers.models import Model

SYSTEMS = [dynamics.pendulum(), dynamics.cart_pole()]
NAMES = [system.name for system in SYSTEMS]


def arguments(model, seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    sizes = (model.state_size, model.action_size, model.disturbance_size)
    return [jnp.asarray(rng.uniform(-1, 1, size), dtype) for size in sizes]


@pytest.mark.smoke
@pytest.mark.parametrize("model", SYSTEMS, ids=NAMES)
def test_the_affine_form_is_the_step(model):
    with jax.enable_x64():
        affine, step = jax.jit(model.affine), jax.jit(model.step)
        for seed in range(100):
            x, a, w = arguments(model, seed)
            c, B, E = affine(x)
            # Far outside the action box and W too: a model that is affine is so everywhere.
            np.testing.assert_allclose(
                c + B @ (10 * a) + E @ (10 * w), step(x, 10 * a, 10 * w), rtol=0, atol=1e-12
            )


@pytest.mark.parametrize("model", SYSTEMS, ids=NAMES)
def test_the_affine_form_holds_the_jacobians(model):
    with jax.enable_x64():
        x, a, w = arguments(model, 0)
        _, B, E = jax.jit(model.affine)(x)
        jacobians = jax.jit(jax.jacrev(model.step, (1, 2)))(x, a, w)
        np.testing.assert_allclose(B, jacobians[0], rtol=0, atol=1e-14)
        np.testing.assert_allclose(E, jacobians[1], rtol=0, atol=1e-14)


@pytest.mark.parametrize("model", SYSTEMS, ids=NAMES)
def test_the_affine_form_is_differentiable_in_the_state(model):
    with jax.enable_x64():
        check_grads(jax.jit(model.affine), arguments(model, 1)[:1], order=1, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("model", SYSTEMS, ids=NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_everything_follows_the_dtype_of_the_state(model, dtype):
    with jax.enable_x64():
        x, a, w = arguments(model, 0, dtype)
        assert jax.eval_shape(model, x, a, w).dtype == dtype
        shapes = [
            (model.state_size,),
            (model.state_size, model.action_size),
            (model.state_size, model.disturbance_size),
        ]
        for part, shape in zip(jax.eval_shape(model.affine, x), shapes, strict=True):
            assert part.dtype == dtype
            assert part.shape == shape


def test_several_actions_and_no_disturbance():
    matrix = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    model = Model(
        "linear", lambda x, a, w: -x + matrix @ a, state_size=2, action_size=3, disturbance_size=0
    )
    c, B, E = model.affine(jnp.array([1.0, 2.0]))
    np.testing.assert_array_equal(c, [-1.0, -2.0])
    np.testing.assert_array_equal(B, matrix)
    assert E.shape == (2, 0)


def test_a_step_of_the_wrong_shape_is_refused():
    model = Model(
        "short", lambda x, a, w: x[:1] + a, state_size=2, action_size=1, disturbance_size=1
    )
    with pytest.raises(
        ModelError,
        match=r"`step` of the model `short` must return shape \(2,\), but its shape is \(1,\)",
    ):
        model.affine(jnp.ones(2))
