"""A solver that is wrong in both places where it is used: the second anchor owes it nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from params import slow

import safe_wrappers as sw
from safe_wrappers.safe_actions import _action_set
from safe_wrappers.safe_actions._candidates import candidates
from safe_wrappers.safeguards import _centers

TAU = 20 * np.finfo(np.float32).eps
FAULTS = {
    "NaN": lambda x: jnp.full_like(x, jnp.nan),
    "one NaN": lambda x: x.at[0].set(jnp.nan),
    "1e30": lambda x: jnp.full_like(x, 1e30),
    "a constant": jnp.ones_like,
    "the opposite sign": lambda x: -x,
}


def growing(gain=0.5):
    """x' = 1.1 x + gain a + w in a hexagon, two actions and no blocks: its anchor is a solver's."""
    angles = np.deg2rad(np.arange(0, 360, 60))
    hexagon = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    claim = sw.Claim(
        sw.Model("growing", lambda x, a, w: 1.1 * x + gain * a + w, 2, 2, 2),
        safe_state_set=sw.Polytope(hexagon, np.ones(6, np.float32)),
        constraint_set=sw.Box.symmetric([9.0, 9.0]),
        disturbance_set=sw.Box.symmetric([0.02, 0.02]),
    )
    return sw.ModelSystem(claim, state=lambda state: state.obs)


def near_the_boundary(system, count):
    """States of S on rays from the origin, half of them within 1e-4 of the boundary."""
    rng = np.random.default_rng(0)
    ways = rng.normal(size=(count, 2))
    gauges = np.max(ways @ np.asarray(system.safe_state_set.H).T, axis=1, keepdims=True)
    return (ways / gauges * rng.choice([0.5, 0.99, 0.9999, 0.9999], (count, 1))).astype(np.float32)


@pytest.fixture
def broken(monkeypatch):
    """Breaks both entries of the solver, wherever they are used."""

    def use(fault):
        true_project, true_margin = _centers.project, _action_set.max_margin

        def project(A, b, a):
            return fault(true_project(A, b, a))

        def max_margin(A, b):
            point, margin = true_margin(A, b)
            return fault(point), margin

        monkeypatch.setattr(_centers, "project", project)
        for module in (_action_set, _centers):
            monkeypatch.setattr(module, "max_margin", max_margin)

    return use


# With the smaller gain some states have safe actions, but none among the candidates.
@pytest.mark.parametrize(
    ("fault", "gain", "least_feasible"),
    [
        ("NaN", 0.5, 1.0),
        *slow(*((fault, 0.5, 1.0) for fault in FAULTS if fault != "NaN"), ("NaN", 0.13, 0.9)),
    ],
)
def test_with_a_broken_solver_the_best_candidate_is_executed(fault, gain, least_feasible, broken):
    system, safeguard = growing(gain), sw.BoundaryProjection()
    x = near_the_boundary(system, 600)
    request = np.random.default_rng(1).choice([-1.0, 1.0, 0.3], (len(x), 2)).astype(np.float32)
    request[::7] = np.nan
    broken(FAULTS[fault])

    def call(x, request):
        action_set = system.safe_action_set(x)
        output = sw.safe_action(system, safeguard, x, request)
        return (*action_set.unit_rows(), action_set.anchor, output)

    A, b, anchor, output = jax.device_get(jax.jit(jax.vmap(call))(x, request))
    A, b = A.astype(np.float64), b.astype(np.float64)

    def depth(actions):
        """The least slack of the rows, for actions of shape (N, ..., 2)."""
        return np.min(b[:, None] - np.einsum("nmd,nkd->nkm", A, actions), axis=2)

    best = depth(np.broadcast_to(candidates(2), (len(x), *candidates(2).shape))).max(axis=1)
    found = depth(anchor[:, None].astype(np.float64))[:, 0]
    assert np.all(found >= best - 2.1 * TAU)
    # The flag is true wherever a candidate is acceptable, and then what is executed is safe.
    assert np.all(output.feasible | (best < TAU / 4 + 1e-7))
    executed = depth(output.action[:, None].astype(np.float64))[:, 0]
    assert np.all(np.abs(output.action) <= 1)
    assert np.all(executed[output.feasible] > 0)
    assert np.all(output.feasible == (found >= TAU / 4)) or np.abs(found - TAU / 4).min() < 1e-7
    # Without a map's result and without a finite request it is the anchor.
    unknown = ~np.isfinite(request).all(axis=1)
    np.testing.assert_array_equal(output.action[unknown], anchor[unknown])
    assert np.all(output.fallback[unknown])
    print(f"{fault}, gain {gain}: an acceptable anchor at {output.feasible.mean():.1%}")
    assert output.feasible.mean() >= least_feasible


@pytest.mark.parametrize("center", ["chebyshev", "orthogonal"])
def test_masks_whose_centre_comes_from_a_broken_solver_execute_safe_actions(center, broken):
    system, safeguard = growing(), sw.RayMask(center=center)
    x = near_the_boundary(system, 600)
    request = np.ones((len(x), 2), np.float32)
    broken(FAULTS["NaN"])
    A, b, output = jax.device_get(
        jax.jit(
            jax.vmap(
                lambda x, a: (
                    *system.safe_action_set(x).unit_rows(),
                    sw.safe_action(system, safeguard, x, a),
                )
            )
        )(x, request)
    )
    slack = b - np.einsum("nmd,nd->nm", A.astype(np.float64), output.action)
    assert np.all(output.feasible)
    assert np.all(slack.min(axis=1) > 0)


def test_a_sound_solver_is_not_overruled():
    """The anchor is the solver's own bit for bit: it is continuous, a candidate is not."""
    rng = np.random.default_rng(2)
    A = rng.normal(size=(2000, 8, 2)).astype(np.float32)
    b = rng.uniform(0.05, 0.6, (2000, 8)).astype(np.float32)
    # Sets whose deepest point is a candidate itself: the solver's is within tau of it.
    A[:500, :, 0] = np.abs(A[:500, :, 0])

    @jax.jit
    @jax.vmap
    def both(A, b):
        action_set = sw.SafeActionSet.from_rows(A, b)
        return action_set.anchor, _action_set.max_margin(*action_set.unit_rows())[0]

    np.testing.assert_array_equal(*both(A, b))


@pytest.mark.parametrize("d", [2, 3, 4, 7])
def test_candidates_are_distinct_actions_of_the_box_and_begin_with_its_centre(d):
    actions = candidates(d)
    assert np.all(actions[0] == 0)
    assert np.abs(actions).max() == 1
    assert len(np.unique(actions, axis=0)) == len(actions) >= 4 * d + 1
