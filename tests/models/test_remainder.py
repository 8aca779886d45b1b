import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import keys

import safe_wrappers as sw
from safe_wrappers.certificates import Claim, prove
from safe_wrappers.models import enclosed, require_affine
from safe_wrappers.synthesis import synthesise

BEND = 0.2


def bent(x, a, w):
    """A double integrator whose motor is weaker one way: the part in a^2 is at most dt BEND, in the
    velocity.
    """
    velocity = x[1] + 0.1 * (a[0] + BEND * a[0] ** 2 + w[0])
    return jnp.stack([x[0] + 0.1 * x[1], velocity])


MODEL = sw.Model("bent", bent, 2, 1, 1)
REMAINDER = np.array([0.0, 0.1 * BEND * 1.001], np.float32)
X, W = sw.Box.symmetric([1.0, 1.0]), sw.Box.symmetric([0.05])


@pytest.fixture(scope="module")
def claim():
    """Found for the enclosing model: for the rows that run."""
    model = enclosed(MODEL, REMAINDER)
    disturbances = model.disturbances(W)
    result = synthesise(model, X, disturbances, facets=6, seeds=1, progress=False)
    return Claim(
        model,
        safe_state_set=result.safe_state_set,
        constraint_set=X,
        disturbance_set=disturbances,
    )


def system_with(claim, remainder):
    """The system on the same set, whose model declares another remainder."""
    return sw.ModelSystem(
        dataclasses.replace(claim, model=enclosed(MODEL, remainder)), state=lambda x: x
    )


def test_the_enclosing_model_is_affine_and_contains_the_model():
    with pytest.raises(sw.ModelError, match="passes through"):
        require_affine(MODEL)
    model = enclosed(MODEL, lambda x: jnp.stack([0 * x[0], REMAINDER[1] + 0 * x[1]]))
    require_affine(model)
    x, a, w = jnp.array([0.3, -0.2]), jnp.array([1.0]), jnp.array([0.05])
    gap = MODEL(x, a, w) - model(x, a, jnp.append(w, jnp.zeros(2)))
    np.testing.assert_allclose(gap, [0.0, 0.1 * BEND], atol=1e-6)
    np.testing.assert_allclose(
        model(x, a, jnp.append(w, jnp.ones(2))) - model(x, a, jnp.append(w, jnp.zeros(2))),
        REMAINDER,
        atol=1e-7,
    )


def test_a_set_for_a_model_that_is_not_affine_is_found_and_proved(claim):
    assert prove(claim).proved
    system = sw.ModelSystem(claim, state=lambda x: x)
    assert system.guarantee.status == "proved"
    # The same rows from the affine form of the model itself, tighter by |H| r.
    x = system.sample_initial(jax.random.PRNGKey(0))
    H, action_set = np.asarray(claim.safe_state_set.H), system.safe_action_set(x)
    c, B, E = (np.asarray(part) for part in MODEL.affine(x))
    room = 1 - H @ c - np.abs(H @ E) @ [0.05] - np.abs(H) @ REMAINDER - claim.eps
    np.testing.assert_allclose(action_set.A, H @ B, atol=1e-6)
    np.testing.assert_allclose(action_set.b, room, atol=1e-6)


@pytest.mark.parametrize(
    ("remainder", "stays"),
    [(REMAINDER, True), (0 * REMAINDER, False)],
    ids=["declared", "forgotten"],
)
def test_the_remainder_keeps_the_bent_model_inside(claim, remainder, stays):
    """Full power towards the boundary and all disturbances at their worst; without the remainder
    the same rows let it out.
    """
    system = system_with(claim, remainder)

    def step(x, _):
        x = MODEL(
            x,
            sw.safe_action(system, sw.BoundaryProjection(), x, jnp.ones(1)).action,
            jnp.array([0.05]),
        )
        return x, x

    visited = jax.jit(
        jax.vmap(lambda key: jax.lax.scan(step, system.sample_initial(key), None, 50)[1])
    )(keys(0, 64))
    margins = 1 - np.asarray(visited, np.float64) @ np.asarray(claim.safe_state_set.H, np.float64).T
    assert (margins.min() >= 0) == stays


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros(3), r"`remainder` has shape \(3,\)"),
        (np.array([0.1, -0.1]), "`remainder` is .*finite and at least 0"),
        (np.array([0.1, np.inf]), "`remainder` is .*finite and at least 0"),
        (np.array([0.1, np.nan]), "`remainder` is .*finite and at least 0"),
        (None, "`remainder`"),
    ],
)
def test_a_remainder_that_is_no_bound_is_refused(wrong, message):
    with pytest.raises(sw.SetDimensionError, match=message):
        enclosed(MODEL, wrong)


def test_an_enclosed_model_keeps_the_natural_units():
    """In volts the same steps, the same affine form and the same remainder, for unit actions."""
    volts = sw.Model(
        "volts",
        lambda x, a, w: bent(x, (a - 1.0) / 6.0, w),
        2,
        disturbance_size=1,
        action_box=sw.Box([-5.0], [7.0]),
    )
    natural, unit = enclosed(volts, REMAINDER), enclosed(MODEL, REMAINDER)
    np.testing.assert_array_equal(natural.action_box.upper, [7.0])
    x, w = jnp.array([0.3, -0.2]), jnp.array([0.05, 0.0, 1.0])
    for u in (-1.0, 0.25, 1.0):
        expected = unit.step(x, jnp.array([u]), w)
        np.testing.assert_allclose(natural.step(x, jnp.array([1 + 6 * u]), w), expected, atol=1e-6)
        np.testing.assert_allclose(natural.unit_step(x, jnp.array([u]), w), expected, atol=1e-6)
    for found, expected in zip(natural.affine(x), unit.affine(x), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
