"""Safe action sets that are boxes: closed forms, against the solvers for the same rows."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from params import quick

import safe_wrappers as sw
from safe_wrappers.safe_actions import SafeActionSet

GUARDS = {
    "boundary_projection": sw.BoundaryProjection(),
    "linear": sw.RayMask(mapping="linear"),
    "hyperbolic": sw.RayMask(),
    "orthogonal": sw.RayMask(center="orthogonal"),
    "box": sw.RayMask(center="box"),
    "generator_mask": sw.GeneratorMask(),
    "gauge_map": sw.GaugeMap(),
    "replacement": sw.Replacement(),
}
# What these have of derivatives the others have as well; they take some seconds each to compile.
DERIVED = ("boundary_projection", "hyperbolic", "generator_mask", "replacement", "box")
D, COUNT = 3, 300


def boxes(seed=0, count=COUNT):
    """Boxes with an interior in [-1, 1]^d, some of whose sides are beyond it or missing."""
    rng = np.random.default_rng(seed)
    middle, half = rng.uniform(-0.9, 0.9, (count, D)), rng.uniform(0.05, 1.2, (count, D))
    lower, upper = middle - half, middle + half
    upper[::7, 0] = np.inf
    lower[::5, 1] = -np.inf
    return jnp.asarray(lower, jnp.float32), jnp.asarray(upper, jnp.float32)


def sets(*ends):
    return jax.vmap(SafeActionSet.from_box)(*ends)


def requests(seed=1, count=COUNT):
    return jnp.asarray(np.random.default_rng(seed).uniform(-1.3, 1.3, (count, D)), jnp.float32)


@pytest.mark.parametrize("guard", GUARDS)
def test_results_lie_in_the_box(guard):
    lower, upper = boxes()
    out = jax.jit(jax.vmap(GUARDS[guard]))(sets(lower, upper), requests())
    action = np.asarray(out.action)
    assert np.all((action >= lower) & (action <= upper) & (np.abs(action) <= 1))
    assert bool(out.feasible.all())
    assert not bool(out.fallback.any())
    assert bool(out.intervened.any())
    assert not bool(out.intervened.all())


def test_projection_is_the_nearest_point():
    lower, upper = (np.asarray(end, np.float64) for end in boxes())
    asked = np.asarray(requests(), np.float64)
    out = jax.jit(jax.vmap(GUARDS["boundary_projection"]))(sets(*boxes()), requests())
    nearest = np.clip(np.clip(asked, -1, 1), np.maximum(lower, -1), np.minimum(upper, 1))
    np.testing.assert_allclose(out.action, nearest, atol=1e-5)
    safe = ~np.asarray(out.intervened)
    np.testing.assert_array_equal(np.asarray(out.action)[safe], np.asarray(requests())[safe])


def test_projection_and_orthogonal_masks_are_those_of_the_solver():
    for guard in ("boundary_projection", "orthogonal"):

        def both(lower, upper, asked, guard=GUARDS[guard]):
            rows = SafeActionSet.from_box(lower, upper)
            general = dataclasses.replace(rows, is_box=False)
            return guard(rows, asked).action, guard(general, asked).action

        found, expected = jax.jit(jax.vmap(both))(*boxes(), requests())
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_masks_reach_all_of_the_box_and_send_its_middle_to_its_middle():
    lower, upper = (np.clip(end, -1, 1) for end in boxes())
    middle = (lower + upper) / 2
    for guard in ("generator_mask", "gauge_map"):
        call = jax.jit(jax.vmap(GUARDS[guard]))
        np.testing.assert_allclose(
            call(sets(*boxes()), jnp.zeros((COUNT, D))).action, middle, atol=1e-5
        )
        for corner in itertools.product((-1.0, 1.0), repeat=D):
            found = call(sets(*boxes()), jnp.broadcast_to(jnp.array(corner), (COUNT, D))).action
            if guard == "generator_mask":
                expected = np.where(np.array(corner) > 0, upper, lower)
                np.testing.assert_allclose(found, expected, atol=1e-5)
            else:  # some side of the box is reached
                gap = np.minimum(np.abs(found - lower), np.abs(found - upper)).min(axis=1)
                assert gap.max() < 1e-5


@pytest.mark.parametrize("guard", quick(DERIVED, [*GUARDS, "inward"]))
def test_derivatives_are_those_of_differences(guard):
    chosen = sw.BoundaryProjection(gradient="inward") if guard == "inward" else GUARDS[guard]
    with jax.enable_x64():
        lower, upper = (jnp.asarray(end, jnp.float64) for end in boxes(count=60))
        lower, upper = jnp.clip(lower, -1.9, 1.9), jnp.clip(upper, -1.9, 1.9)
        asked = jnp.asarray(requests(count=60), jnp.float64) * 0.7

        def safe(lower, upper, asked):
            return chosen(SafeActionSet.from_box(lower, upper), asked).action

        if guard == "inward":
            weight = jnp.array([0.3, -1.0, 0.7])

            def loss(lower, upper, asked):
                return jnp.sum(weight * safe(lower, upper, asked))

            found = jax.jit(jax.vmap(jax.grad(loss, 2)))(lower, upper, asked)
            moved = np.asarray(jax.jit(jax.vmap(safe))(lower, upper, asked))
            at_upper, at_lower = moved >= upper - 1e-12, moved <= lower + 1e-12
            blocked = (at_upper & (weight < 0)) | (at_lower & (weight > 0))
            kept = np.all(moved == asked, axis=1, keepdims=True)
            np.testing.assert_allclose(found, np.where(blocked & ~kept, 0.0, weight), atol=1e-9)
            assert blocked.any()
            return
        found = jax.jit(jax.vmap(jax.jacrev(safe, (0, 1, 2))))(lower, upper, asked)
        call, step = jax.jit(jax.vmap(safe)), 1e-6
        for i, jacobian in enumerate(found):
            for j in range(D):
                moved = [[lower, upper, asked], [lower, upper, asked]]
                for sign, parts in zip((1, -1), moved, strict=True):
                    parts[i] = parts[i] + sign * step * np.eye(D)[j]
                numeric = (call(*moved[0]) - call(*moved[1])) / (2 * step)
                # A request may lie at a kink.
                off = np.abs(numeric - jacobian[:, :, j]) > 1e-5 * (1 + np.abs(numeric))
                if guard == "replacement" and i < 2:
                    assert np.all(jacobian == 0)
                else:
                    assert off.any(axis=1).mean() <= 0.05


def test_a_box_without_an_interior_or_with_nan_has_no_safe_action():
    one, nan = jnp.ones(D), jnp.array([0.5, jnp.nan, 0.5])
    away = jnp.full(D, jnp.inf)
    for lower, upper in ((0.2 * one, 0.1 * one), (-one, nan), (-one, -away), (2 * one, 3 * one)):
        for guard in GUARDS.values():
            out = guard(SafeActionSet.from_box(lower, upper), jnp.array([0.3, -0.2, 0.9]))
            assert not bool(out.feasible)
            assert bool(out.intervened)
            assert np.all(np.abs(out.action) <= 1)


def test_bounds_at_the_action_box_do_not_narrow_it():
    action_set = SafeActionSet.from_box(-jnp.full(D, jnp.inf), jnp.full(D, jnp.inf))
    request = jnp.array([1.0, -1.0, 0.999999])
    out = sw.BoundaryProjection()(action_set, request)
    np.testing.assert_array_equal(out.action, request)
    assert not bool(out.changed)
