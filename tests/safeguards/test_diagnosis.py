"""What safeguards do to gradients, against the theory: projectors of the active rows, full rank of
the masks, the identity of the passthrough.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from params import slow

import safe_wrappers as sw
from safe_wrappers.envs import SafePendulum
from safe_wrappers.safeguards import make_safeguard
from safe_wrappers.testing._action_sets import harsh_sets

# A wedge of the plane: a_1 <= 0.5, and a row at 45 degrees that meets it in the vertex (0.5, 0).
WEDGE = (
    np.array([[1.0, 0.0], [np.sqrt(0.5), np.sqrt(0.5)]], np.float32),
    np.array([0.5, np.sqrt(0.125)], np.float32),
)


def fixed(A, b):
    """A system with one safe action set, whatever the state, and 0 as its anchor."""
    return sw.ExplicitSystem(
        action_size=A.shape[1],
        rows=lambda x: (jnp.asarray(A), jnp.asarray(b)),
        margin=lambda x: 1 - jnp.abs(x[0]),
        sample_initial=lambda key: jnp.zeros(1),
        state=lambda state: state.obs,
        anchor=lambda x: jnp.zeros(A.shape[1], jnp.asarray(b).dtype),
    )


def diagnoses(safeguard, actions, loss_gradients=None):
    """On the wedge; one diagnosis for each action, as NumPy arrays."""
    diagnose = jax.vmap(
        lambda *arguments: sw.diagnose_gradient(fixed(*WEDGE), safeguard, jnp.zeros(1), *arguments)
    )
    arguments = [actions] if loss_gradients is None else [actions, loss_gradients]
    return jax.tree.map(
        np.asarray, jax.jit(diagnose)(*(np.asarray(value, np.float32) for value in arguments))
    )


def test_boundary_projection_has_the_projector_of_the_active_rows_and_loses_a_rank_with_each():
    cases = {
        "safe": ([-0.3, 0.2], np.zeros((0, 2))),
        "straight row": ([0.9, -0.8], WEDGE[0][:1]),
        "oblique row": ([0.0, 0.9], WEDGE[0][1:]),
        "vertex": ([0.9, 0.1], WEDGE[0]),
        "face of the box": ([-1.5, 0.2], np.array([[1.0, 0.0]])),
        "row and face of the box": ([0.9, -1.5], np.eye(2)),
    }
    found = diagnoses(sw.BoundaryProjection(), [action for action, _ in cases.values()])
    for i, (name, (_, active)) in enumerate(cases.items()):
        projector = np.eye(2) - np.linalg.pinv(active) @ active
        np.testing.assert_allclose(found.jacobian[i], projector, atol=1e-6, err_msg=name)
        assert found.rank[i] == 2 - len(active), name
        np.testing.assert_allclose(found.lost_gradient[i], len(active) / 2, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(
            found.singular_values[i], np.arange(2) < 2 - len(active), atol=1e-6, err_msg=name
        )


def test_a_given_gradient_loses_its_part_along_the_normal():
    g = np.array([3.0, 4.0])
    nothing = ([0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0])
    actions = [[-0.3, 0.2], [0.9, -0.8], [0.9, 0.1], [0.9, -0.8], *[[0.9, 0.1]] * 3]
    found = diagnoses(sw.BoundaryProjection(), actions, [g, g, g, 1e30 * g, *nothing])
    np.testing.assert_allclose(found.lost_gradient, [0, 9 / 25, 1, 9 / 25, 0, 0, 0], atol=1e-6)


def test_inward_has_the_jacobian_of_the_exact_rule_and_its_own_share_of_a_given_gradient():
    # A descent step along -g leads back into the set, one along g out of it.
    g = np.array([3.0, 4.0])
    found = diagnoses(sw.BoundaryProjection(gradient="inward"), [[0.9, -0.8]] * 2, [g, -g])
    np.testing.assert_allclose(found.jacobian, [np.diag([0, 1])] * 2, atol=1e-6)
    np.testing.assert_allclose(found.lost_gradient, [0, 9 / 25], atol=1e-6)


@pytest.mark.parametrize("name", ["boundary_projection", *slow("gauge_map")])
def test_the_passthrough_loses_nothing_and_blending_half(name):
    actions = [[-0.3, 0.2], [0.9, -0.8], [0.9, 0.1], [-1.5, 7.0]]
    found = diagnoses(make_safeguard(name, gradient="passthrough"), actions)
    np.testing.assert_array_equal(found.rank, 2)
    np.testing.assert_array_equal(found.lost_gradient, 0)
    np.testing.assert_array_equal(found.jacobian, np.broadcast_to(np.eye(2), (4, 2, 2)))
    exact, blend = (
        diagnoses(make_safeguard(name, gradient=gradient), actions[:3]).jacobian
        for gradient in ("exact", "blend")
    )
    np.testing.assert_allclose(blend, (exact + np.eye(2)) / 2, atol=1e-6)


@pytest.mark.parametrize(
    "safeguard",
    [*slow(sw.RayMask(mapping="linear")), sw.RayMask(), *slow(sw.GaugeMap())],
    ids=["linear", "hyperbolic", "gauge"],
)
def test_masks_have_full_rank_and_the_jacobian_of_finite_differences(safeguard):
    actions = np.random.default_rng(0).uniform(-0.95, 0.95, (200, 2))
    found = diagnoses(safeguard, actions)
    np.testing.assert_array_equal(found.rank, 2)
    call = jax.jit(
        jax.vmap(
            lambda action: sw.safe_action(fixed(*WEDGE), safeguard, jnp.zeros(1), action).action
        )
    )
    step = 1e-3
    differences = np.stack(
        [(call(actions + step * e) - call(actions - step * e)) / (2 * step) for e in np.eye(2)],
        axis=-1,
    )
    # Few of the requests are so near to a kink that the difference reaches over it.
    assert np.mean(np.abs(differences - found.jacobian).max(axis=(1, 2)) < 2e-2) > 0.97
    np.testing.assert_allclose(
        found.lost_gradient, 1 - np.sum(found.jacobian**2, axis=(1, 2)) / 2, atol=1e-5
    )
    np.testing.assert_allclose(
        np.prod(found.singular_values, axis=1), np.abs(np.linalg.det(found.jacobian)), atol=1e-5
    )


def test_replacement_has_rank_zero_where_it_replaces():
    np.testing.assert_array_equal(
        diagnoses(sw.Replacement(), [[-0.3, 0.2], [0.9, -0.8]]).rank, [2, 0]
    )


@pytest.mark.parametrize("name", ["boundary_projection", "ray_mask", "replacement"])
def test_harsh_sets_and_requests_have_finite_diagnoses(name):
    rng = np.random.default_rng(1)
    A, b, actions, _ = harsh_sets(rng, 700, 2, 6)
    actions[:30, 0] = np.nan
    actions[30:60, 1] = 1e30

    def diagnose(A, b, action):
        return sw.diagnose_gradient(fixed(A, b), make_safeguard(name), jnp.zeros(1), action)

    found = jax.jit(jax.vmap(diagnose))(*(value.astype(np.float32) for value in (A, b, actions)))
    for leaf in found:
        assert np.isfinite(leaf).all()
        assert leaf.dtype in (np.float32, np.int32)
    np.testing.assert_array_equal(found.rank[:30], 0)
    if name in ("boundary_projection", "replacement"):
        # Projectors, also numerically: nothing lies between what is kept and what is lost.
        values = np.asarray(found.singular_values)[60:]
        assert np.minimum(values, np.abs(values - 1)).max() < 1e-5


def test_at_an_unknown_state_nothing_is_left_and_everything_is_finite():
    found = jax.jit(
        lambda x: sw.diagnose_gradient(SafePendulum().system, sw.RayMask(), x, jnp.array([0.5]))
    )(jnp.array([jnp.nan, 0.0]))
    assert found.rank == 0
    for leaf in found:
        assert np.isfinite(leaf).all()


def test_the_diagnosis_is_a_constant_for_derivatives_and_takes_plain_lists():
    def lost(action: Any, loss_gradient: Any) -> jax.Array:
        x: Any = [0]
        return sw.diagnose_gradient(
            fixed(*WEDGE), sw.BoundaryProjection(), x, action, loss_gradient
        ).lost_gradient

    for derivative in jax.jit(jax.grad(lost, (0, 1)))(
        jnp.array([0.9, -0.8]), jnp.array([3.0, 4.0])
    ):
        np.testing.assert_array_equal(derivative, 0)
    for loss_gradient in (jnp.ones(2), [3.0, 4.0], [3, 4]):
        assert jax.eval_shape(lambda g=loss_gradient: lost([0, 0], g)).dtype == jnp.float32
    with pytest.raises(sw.SetDimensionError, match="must have shape"):
        lost(jnp.zeros(3), jnp.ones(3))
