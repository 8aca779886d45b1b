import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import keys

import safe_wrappers as sw
from safe_wrappers.certificates import prove
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
def certificate():
    """Found and proved for the enclosing model: for the rows that run."""
    model, disturbances = enclosed(MODEL, REMAINDER), sw.Box.symmetric([0.05, 1.0, 1.0])
    result = synthesise(model, X, disturbances, facets=6, seeds=1, progress=False)
    return sw.Certificate.create(model, result.safe_state_set, X, disturbances, name="bent")


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


def test_a_set_for_a_model_that_is_not_affine_is_found_and_proved(certificate):
    model = enclosed(MODEL, REMAINDER)
    assert prove(certificate, model).status == "proved"
    proved = sw.ModelSystem.from_certificate(certificate, model, state=lambda x: x)
    declared = sw.ModelSystem(
        MODEL,
        certificate.safe_state_set,
        W,
        X,
        lambda x: x,
        eps=certificate.eps,
        remainder=REMAINDER,
    )
    x = proved.sample_initial(jax.random.PRNGKey(0))
    for one, other in zip(
        jax.tree.leaves(proved.safe_action_set(x)),
        jax.tree.leaves(declared.safe_action_set(x)),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert proved.guarantee.startswith("certified for the model 'bent, enclosed' by 'bent'")
    assert declared.guarantee.startswith("tested, not proved")


@pytest.mark.parametrize(
    ("remainder", "stays"),
    [(REMAINDER, True), (0 * REMAINDER, False)],
    ids=["declared", "forgotten"],
)
def test_the_remainder_keeps_the_bent_model_inside(certificate, remainder, stays):
    """Full power towards the boundary and all disturbances at their worst; without the remainder
    the same rows let it out.
    """
    system = sw.ModelSystem(
        MODEL, certificate.safe_state_set, W, X, lambda x: x, remainder=remainder
    )

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
    margins = (
        1 - np.asarray(visited, np.float64) @ np.asarray(certificate.safe_state_set.H, np.float64).T
    )
    assert (margins.min() >= 0) == stays


def test_a_remainder_of_another_shape_is_refused(certificate):
    for wrong in (np.zeros(3), np.array([0.1, -0.1]), np.array([0.1, np.inf])):
        with pytest.raises(
            sw.SetDimensionError, match="`remainder` must hold 2 finite half-widths"
        ):
            sw.ModelSystem(MODEL, certificate.safe_state_set, W, X, lambda x: x, remainder=wrong)
