"""Systems that are commanded by virtual inputs: their safe inputs are a box."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from params import slow
from virtual_plants import DT, G, arm_claim, drone_claim

import safe_wrappers as sw
from safe_wrappers.models import Commanded

CLAIMS = {"arm": arm_claim, "drone": drone_claim}
GUARDS = {
    "boundary_projection": sw.BoundaryProjection(),
    "ray_mask": sw.RayMask(),
    "orthogonal": sw.RayMask(center="orthogonal"),
    "generator_mask": sw.GeneratorMask(),
    "gauge_map": sw.GaugeMap(),
    "replacement": sw.Replacement(),
}
OTHERS = [name for name in GUARDS if name != "boundary_projection"]


@functools.cache
def system_of(name):
    return sw.ModelSystem(CLAIMS[name](), state=lambda state: state, commands="virtual")


def sampled(system, count, seed=0, share=None):
    """States of S; with `share` so far from its centre, 1 at the boundary."""
    x = jax.vmap(system.sample_initial)(jax.random.split(jax.random.PRNGKey(seed), count))
    if share is None:
        return x
    return (x / (1 - np.asarray(jax.vmap(system.margin)(x)))[:, None] * share).astype(np.float32)


def linear(name, x):
    """By hand, in float64 NumPy: c, B, E of x' = c + B v + E w, shapes (N, n), (N, n, d), ..."""
    x = np.asarray(x, np.float64)
    count, dt = len(x), float(np.float32(DT))
    if name == "arm":
        A = np.block([[np.eye(2), dt * np.eye(2)], [np.zeros((2, 2)), np.eye(2)]])
        B = np.concatenate([dt**2 * np.eye(2), dt * np.eye(2)])
        return x @ A.T, np.tile(B, (count, 1, 1)), np.tile(B, (count, 1, 1))
    slope, (px, pz, tilt, vx, vz) = np.tan(x[:, 2]), x.T
    speed = vx + dt * G * slope
    c = np.stack([px + dt * speed, pz + dt * vz, tilt, speed, vz], axis=1)
    zero, one = np.zeros(count), np.ones(count)
    climb = np.stack([dt**2 * slope, dt**2 * one, zero, dt * slope, dt * one], axis=1)
    turn = np.stack([zero, zero, dt * one, zero, zero], axis=1)
    wind = [[dt**2, 0], [0, dt**2], [0, 0], [dt, 0], [0, dt]]
    return c, np.stack([climb, turn], axis=2), np.tile(wind, (count, 1, 1))


@pytest.mark.parametrize(
    ("name", "guard"),
    [("arm", guard) for guard in GUARDS]
    + [("drone", "boundary_projection"), *slow(*(("drone", guard) for guard in OTHERS))],
)
def test_no_safeguard_leaves_the_set(name, guard):
    system, safeguard = system_of(name), GUARDS[guard]
    W = jnp.asarray(system.disturbance_set.vertices(), jnp.float32)
    d = system.action_size

    def one(x, request):
        out = sw.safe_action(system, safeguard, x, request)
        after = jax.vmap(lambda w: system.model.step(x, out.action, w))(W)
        margins = jax.vmap(system.margin)(after)
        worst = jnp.argmin(margins)
        torque = system.model.plant_action(x, out.action)
        box = system.claim.model.action_box
        inside = jnp.all((torque >= box.lower) & (torque <= box.upper))
        return after[worst], (margins[worst], out.feasible, out.fallback, inside)

    def body(carry, key):
        x, held = carry
        flip = jax.random.bernoulli(key, 0.1, held.shape)
        held = jnp.where(flip, -held, held)
        x, found = jax.vmap(one)(x, held * system.model.action_units.half_width)
        return (x, held), (found[0].min(), found[1].all(), found[2].any(), found[3].all())

    keys = jax.random.split(jax.random.PRNGKey(5), 60)
    run = jax.jit(lambda start: jax.lax.scan(body, start, keys))
    held = jax.random.rademacher(jax.random.PRNGKey(6), (256, d), jnp.float32)
    _, (margins, feasible, fallback, inside) = run((sampled(system, 256), held))
    assert float(margins.min()) >= 0
    assert bool(feasible.all())
    assert not bool(fallback.any())
    assert bool(inside.all())


@pytest.mark.parametrize("name", CLAIMS)
def test_requests_that_are_no_numbers_are_replaced(name):
    system = system_of(name)

    @jax.jit
    @jax.vmap
    def one(x, v):
        out = sw.safe_action(system, GUARDS["boundary_projection"], x, v)
        after = system.model.step(x, out.action, jnp.zeros(2))
        torque = system.model.plant_action(x, out.action)
        return system.margin(after), torque, out.inside

    x = jnp.tile(sampled(system, 1), (4, 1)).at[3].set(jnp.nan)
    bad = jnp.array([[jnp.nan, 0.0], [jnp.inf, 0.0], [-1e30, 0.0], [1.0, 1.0]])
    margin, torque, inside = one(x, bad)
    assert np.all(margin[:3] >= 0)
    np.testing.assert_array_equal(inside, [True, True, True, False])
    assert np.isfinite(torque).all()


@pytest.mark.parametrize("name", CLAIMS)
def test_the_box_is_that_of_numpy(name):
    """Against the facets in float64, from the plants' equations by hand: each corner of the box is
    safe whatever W does, and beyond an end some w and some inputs of others in V lead out.
    """
    system = system_of(name)
    claim = system.claim
    x = sampled(system, 300, seed=1, share=0.9999)
    rows = jax.jit(jax.vmap(system.safe_action_set))(x)
    assert rows.is_box
    assert rows.A.shape == (300, 2 * 2, 2)
    upper, lower = np.split(np.asarray(rows.b, np.float64), 2, axis=1)
    lower = -lower
    half = np.asarray(system.model.action_units.half_width, np.float64)
    c, B, E = linear(name, x)
    H = np.asarray(claim.safe_state_set.H, np.float64)
    push = np.abs(H @ E) @ np.asarray(claim.disturbance_set.upper, np.float64)

    def least(u):
        """The least room of each facet at inputs in [-1, 1]^d, (N, m)."""
        after = c + np.einsum("nij,nj->ni", B, u * half)
        return 1 - after @ H.T - push

    low, high = np.clip(lower, -1, 1), np.clip(upper, -1, 1)
    corners = [np.where(pick, high, low) for pick in np.ndindex(2, 2)]
    worst = np.min([least(u).min(axis=1) for u in corners], axis=0)
    assert worst.min() > 0
    assert worst.min() < 1e-4  # the boxes are not smaller than they must be
    bounded = 0
    for j in range(2):
        facets = claim.blocks[[b.actions[0] for b in claim.blocks].index(j)].facets(H)
        for end, sign in ((upper, 1), (lower, -1)):
            beyond = np.abs(end[:, j]) < 1
            some = []
            for u in np.ndindex(2, 2):
                moved = np.tile(2.0 * np.array(u) - 1.0, (len(x), 1))
                moved[:, j] = end[:, j] + sign * 0.1
                some.append(least(moved)[:, facets].min(axis=1))
            assert np.all(np.min(some, axis=0)[beyond] < 0)
            bounded += beyond.sum()
    assert bounded > 100


def test_the_anchor_is_the_middle_and_safe():
    system = system_of("drone")
    x = sampled(system, 500, seed=2, share=0.9999)
    rows = jax.jit(jax.vmap(system.safe_action_set))(x)
    upper, lower = np.split(np.asarray(rows.b), 2, axis=1)
    middle = (np.clip(upper, -1, 1) + np.clip(-lower, -1, 1)) / 2
    np.testing.assert_allclose(rows.anchor, middle, atol=1e-6)
    slack = rows.b - jnp.sum(rows.A * rows.anchor[:, None], axis=2)
    assert float(slack.min()) > 1e-6


@pytest.mark.parametrize("name", ["arm", *slow("drone")])
def test_safe_actions_have_the_derivatives_of_differences(name):
    system, guard = system_of(name), sw.BoundaryProjection()

    def safe(x, u):
        return sw.safeguards.safe_unit_action(system, guard, x, u).action

    with jax.enable_x64():
        x = jnp.asarray(sampled(system, 60, seed=3, share=0.9999), jnp.float64)
        u = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (60, 2)))
        of_x, of_u = jax.jit(jax.vmap(jax.jacrev(safe, (0, 1))))(x, u)
        step = 1e-6
        call = jax.jit(jax.vmap(safe))
        by_x, by_u = (
            np.stack(
                [
                    (call(*moved(step * e)) - call(*moved(-step * e))) / (2 * step)
                    for e in np.eye(size)
                ],
                axis=2,
            )
            for size, moved in (
                (x.shape[1], lambda e: (x + e, u)),
                (2, lambda e: (x, u + e)),
            )
        )
    np.testing.assert_allclose(of_u, by_u, atol=1e-5)
    np.testing.assert_allclose(of_x, by_x, atol=1e-3, rtol=1e-4)
    diagonal = np.asarray(of_u)[:, [0, 1], [0, 1]]
    assert np.all((diagonal == 0) | (diagonal == 1))
    assert 0 < diagonal.mean() < 1
    assert np.all(np.asarray(of_u)[:, [0, 1], [1, 0]] == 0)
    assert np.abs(of_x).max() > 0.1


def test_a_state_without_a_safe_input_has_an_empty_set():
    system = system_of("arm")
    x = jnp.array([1.99, 0.0, 2.9, 0.0])  # nearly at the wall, at full speed
    assert float(system.margin(x)) < 0
    assert not bool(sw.BoundaryProjection()(system.safe_action_set(x), jnp.zeros(2)).feasible)


def test_the_same_claim_stands_behind_it():
    system = system_of("arm")
    plain = sw.ModelSystem(system.claim, state=lambda state: state)
    assert system.guarantee == plain.guarantee
    assert system.claim.model is plain.model
    assert isinstance(system.model, Commanded)
    np.testing.assert_array_equal(system.action_box.upper, system.claim.virtual.inputs.upper)
    assert system.facets == 0
    assert system.action_room == 0.0


def test_refusals():
    with pytest.raises(ValueError, match="`commands` is 'torques', but it must be one of"):
        sw.ModelSystem(arm_claim(), state=lambda state: state, commands="torques")
    pendulum = sw.envs.load_certificate("safe_pendulum", "narrow")
    with pytest.raises(sw.CertificateError, match="has none: its inputs are its actions"):
        sw.ModelSystem(pendulum, state=lambda state: state, commands="virtual")


def test_a_block_with_several_inputs_is_refused():
    def step(x, v, w):
        speed = x[2:] + 0.05 * (v + 0.1 * x[:2] + w)
        return jnp.concatenate([x[:2] + 0.05 * speed, speed])

    plant = sw.models.Cascade(
        "pair",
        step,
        matrix=lambda x: jnp.eye(2, dtype=x.dtype) * 0.5,
        offset=lambda x: jnp.zeros(2, x.dtype),
        action_box=sw.Box.symmetric([1.0, 1.0]),
        state_size=4,
        disturbance_size=2,
    )
    certificate = sw.certify(
        plant,
        constraints=sw.Box.symmetric([1.0] * 4),
        disturbances=sw.Box.symmetric([0.05, 0.05]),
        blocks=[sw.certificates.Block((0, 1, 2, 3), (0, 1))],
        progress=False,
    )
    with pytest.raises(sw.CertificateError, match="has 2 inputs, whose safe values are no box"):
        sw.ModelSystem(certificate, state=lambda state: state, commands="virtual")
