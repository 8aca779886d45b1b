"""Which kind of set a block gets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lane_car import LIMITS, WINDS, car, certificates, grown, plant
from virtual_plants import ARM_W, ARM_X, arm

import safe_wrappers as sw
from safe_wrappers.certificates import Block
from safe_wrappers.safeguards import make_safeguard

BLOCKS = [Block((0, 1, 2), (0,))]


def certified(**options):
    arguments = {"constraints": LIMITS, "disturbances": WINDS, "blocks": BLOCKS, **options}
    return sw.certify(car(), progress=False, **arguments)


def test_the_larger_kind_is_taken():
    kept, found = certificates()[0], grown()
    assert kept.claim.virtual.forms[0].K is not None
    assert found.claim.virtual.forms[0].K is None
    assert found.record is not None
    assert found.metadata["shares"][0] > kept.metadata["shares"][0] + 0.06
    assert found.metadata["facets"] < 128
    smaller = np.asarray(kept.claim.safe_state_set.vertices())
    assert (smaller @ np.asarray(found.claim.safe_state_set.H).T).max() < 1 + 1e-5


def test_a_block_that_no_gain_keeps_is_kept_by_its_vertices():
    winds = sw.Box.symmetric(2.2 * np.asarray(WINDS.upper))
    with pytest.raises(sw.SynthesisError, match="No gain keeps the block of offset, heading"):
        certified(disturbances=winds, factors="gain")
    assert certified(disturbances=winds).metadata["shares"][0] > 0.2


def test_few_facets_are_searched():
    few = certified(factors="vertices", facets=20)
    assert few.claim.virtual.forms[0].K is None
    assert few.metadata["facets"] <= 20
    assert few.metadata["shares"][0] > 0.5


@pytest.mark.slow
def test_the_kind_of_each_block_may_be_given():
    certificate = sw.certify(
        arm(),
        constraints=ARM_X,
        disturbances=ARM_W,
        inputs=sw.Box.symmetric([3, 4]),
        blocks=[Block((0, 2), (0,)), Block((1, 3), (1,))],
        factors=["vertices", "polygon"],
        progress=False,
    )
    first, second = certificate.metadata["shares"]
    polygon = sw.certify(
        arm(),
        constraints=ARM_X,
        disturbances=ARM_W,
        inputs=sw.Box.symmetric([3, 4]),
        progress=False,
    ).metadata["shares"]
    assert first >= polygon[0] - 0.01
    assert second == pytest.approx(polygon[1], abs=1e-3)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"factors": "simplices"}, ValueError, "`factors` is 'simplices', but it must be one of"),
        ({"factors": 3}, TypeError, "`factors`"),
        ({"factors": ["gain", "gain"]}, sw.SetDimensionError, "one kind for each of the 1 blocks"),
        ({"factors": "polygon"}, sw.SynthesisError, "has no polygon in closed form"),
        (
            {"factors": "vertices", "disturbances": sw.Box.symmetric([3.0, 0.3])},
            sw.SynthesisError,
            "No set at whose vertices an input keeps it",
        ),
    ],
)
def test_what_cannot_be_had_is_said(options, error, message):
    with pytest.raises(error, match=message):
        certified(**options)


ENVS, STEPS = 256, 60


def driven(guard, seed, envs=ENVS, steps=STEPS, kind="held"):
    """The car in NumPy behind a safeguard, from the boundary of its set, under the winds that are
    worst for the next state: the least margin of all states in float64, and how often another
    action than the request was executed.
    """
    claim = grown().claim
    system = sw.ModelSystem(grown(), state=lambda x: x)
    H = np.asarray(claim.safe_state_set.H, np.float64)
    rng = np.random.default_rng(seed)
    ways = rng.normal(size=(envs, 3)) * np.asarray(LIMITS.upper)
    x = (0.999 * ways / (ways @ H.T).max(axis=1, keepdims=True)).astype(np.float32)
    winds = np.asarray(WINDS.vertices(), np.float64)
    request = rng.choice([-1.0, 1.0], (envs, 1))

    @jax.jit
    def act(x, request):
        if guard is None:
            return jnp.clip(request, -1, 1), jnp.ones(len(x), bool)
        out = jax.vmap(lambda x, u: sw.safe_action(system, guard, x, u))(x, request)
        return out.action / system.model.action_box.upper, out.feasible

    least, moved = np.inf, 0
    for _ in range(steps):
        if kind == "held":
            request = np.where(rng.random((envs, 1)) < 0.1, -request, request)
        else:
            request = rng.uniform(-1.3, 1.3, (envs, 1))
        wanted = request.astype(np.float32) * np.asarray(system.model.action_box.upper)
        action, feasible = act(x, wanted) if guard is not None else act(x, request)
        action = np.asarray(action, np.float64)
        assert np.all(feasible)
        after = np.stack([plant(x, action, np.broadcast_to(w, (envs, 2))) for w in winds])
        margins = (1 - after @ H.T).min(axis=2)
        x = after[margins.argmin(axis=0), np.arange(envs)].astype(np.float32)
        least = min(least, margins.min())
        moved += int((np.abs(action - np.clip(request, -1, 1)) > 1e-4).sum())
    return least, moved


def test_the_car_stays_behind_a_safeguard_and_leaves_without():
    least, moved = driven(sw.BoundaryProjection(), 0)
    assert least >= 0
    assert moved > 1000
    assert driven(None, 0)[0] < -0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ray_mask", "gauge_map", "generator_mask", "replacement"])
def test_the_car_stays_behind_every_safeguard(name):
    for kind in ("held", "random"):
        assert driven(make_safeguard(name), 1, kind=kind)[0] >= 0


@pytest.mark.slow
def test_a_million_steps():
    least, _ = driven(sw.BoundaryProjection(), 2, envs=4096, steps=250)
    assert least >= 0


def test_derivatives_are_those_of_differences():
    """Of the executed action w.r.t. the state, where the facets decide it."""
    system = sw.ModelSystem(grown(), state=lambda x: x)
    guard = sw.BoundaryProjection()
    H = np.asarray(grown().claim.safe_state_set.H, np.float64)
    ways = np.random.default_rng(3).normal(size=(256, 3)) * np.asarray(LIMITS.upper)
    x = jnp.asarray(0.98 * ways / (ways @ H.T).max(axis=1, keepdims=True), jnp.float32)

    def action(x):
        return sw.safe_action(system, guard, x, jnp.array([0.3])).action[0]

    step = 2e-4 * np.asarray(LIMITS.upper, np.float32)
    value = jax.jit(jax.vmap(action))
    slope = np.asarray(jax.jit(jax.vmap(jax.grad(action)))(x)) * step
    unit = np.eye(3, dtype=np.float32)
    sides = [
        np.stack([np.asarray(value(x + sign * step * way)) for way in unit]) for sign in (1, -1)
    ]
    ahead, behind = sides[0] - np.asarray(value(x)), np.asarray(value(x)) - sides[1]
    smooth = np.abs(ahead - behind) < 2e-5  # no other facet takes over in between
    moved = np.abs(slope.T) > 1e-4
    assert (smooth & moved).sum() > 50
    np.testing.assert_allclose(
        ((ahead + behind) / 2)[smooth], slope.T[smooth], rtol=0.02, atol=2e-5
    )
    assert np.isfinite(slope).all()


@pytest.mark.slow
def test_the_system_keeps_its_contract():
    sw.testing.check_system(sw.ModelSystem(grown(), state=lambda x: x))
