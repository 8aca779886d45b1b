"""Safe action sets of sets in virtual inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from params import slow
from virtual_plants import arm_claim, drone_claim

import safe_wrappers as sw
from safe_wrappers.models import InVirtualInputs

CLAIMS = {"arm": arm_claim, "drone": drone_claim}
GUARDS = {
    "boundary_projection": sw.BoundaryProjection(),
    "ray_mask": sw.RayMask(),
    "generator_mask": sw.GeneratorMask(),
    "gauge_map": sw.GaugeMap(),
    "replacement": sw.Replacement(),
}
OTHERS = [name for name in GUARDS if name != "boundary_projection"]


def system_of(name):
    return sw.ModelSystem(CLAIMS[name](), state=lambda state: state)


def sampled(system, count, seed=0):
    return jax.jit(jax.vmap(system.sample_initial))(
        jax.random.split(jax.random.PRNGKey(seed), count)
    )


@pytest.mark.parametrize("name", CLAIMS)
def test_there_are_two_rows_for_each_input_and_the_anchor_meets_them(name):
    system = system_of(name)
    x = sampled(system, 2000)
    assert float(jax.vmap(system.margin)(x).min()) > 0
    rows = jax.jit(jax.vmap(system.safe_action_set))(x)
    d = system.action_size
    assert rows.A.shape == (2000, 2 * d, d)
    slack = rows.b - jnp.sum(rows.A * rows.anchor[:, None], axis=2)
    length = jnp.sqrt(jnp.sum(rows.A**2, axis=2))
    assert float((slack / length).min()) > 1e-6
    assert np.all(np.abs(rows.anchor) <= 1)


@pytest.mark.parametrize("name", CLAIMS)
def test_an_action_that_meets_the_rows_stays_and_one_beyond_may_leave(name):
    """Against the model itself: the worst vertex of W, in float64."""
    system = system_of(name)
    model, W = system.model, np.asarray(system.disturbance_set.vertices())
    x = np.asarray(sampled(system, 500, seed=1))
    # States near the boundary, where rows bind.
    x = (x / (1 - np.asarray(jax.vmap(system.margin)(x)))[:, None] * 0.9999).astype(np.float32)
    rows = jax.jit(jax.vmap(system.safe_action_set))(x)
    rng = np.random.default_rng(2)
    u = rng.uniform(-1, 1, (len(x), 30, system.action_size))
    slack = np.asarray(rows.b)[:, None] - np.einsum("nrd,nkd->nkr", rows.A, u)
    with jax.enable_x64():
        step = jax.vmap(
            jax.vmap(jax.vmap(model.unit_step, (None, None, 0)), (None, 0, None)), (0, 0, None)
        )
        after = step(*(jnp.asarray(part, jnp.float64) for part in (x, u, W)))
        margins = np.asarray(jax.vmap(jax.vmap(jax.vmap(system.margin)))(after)).min(axis=2)
    inside = (slack >= 0).all(axis=2)
    assert inside.any()
    assert margins[inside].min() >= 0
    assert margins[~inside].min() < 0


@pytest.mark.parametrize(
    ("name", "guard"),
    [("arm", guard) for guard in GUARDS]
    + [("drone", "boundary_projection"), *slow(*(("drone", guard) for guard in OTHERS))],
)
def test_no_safeguard_leaves_the_set(name, guard):
    system, safeguard = system_of(name), GUARDS[guard]
    model = system.model
    W = jnp.asarray(system.disturbance_set.vertices(), jnp.float32)

    def one(x, request):
        out = sw.safe_action(system, safeguard, x, request)
        after = jax.vmap(lambda w: model.step(x, out.action, w))(W)
        margins = jax.vmap(system.margin)(after)
        worst = jnp.argmin(margins)
        return after[worst], (margins[worst], out.feasible, out.fallback)

    def body(x, key):
        bang = jnp.sign(jax.random.normal(key, (len(x), system.action_size)))
        x, found = jax.vmap(one)(x, bang * model.action_units.half_width * 2)
        return x, (found[0].min(), found[1].all(), found[2].any())

    keys = jax.random.split(jax.random.PRNGKey(5), 60)
    run = jax.jit(lambda x: jax.lax.scan(body, x, keys))
    _, (margins, feasible, fallback) = run(sampled(system, 256))
    assert float(margins.min()) >= 0
    assert bool(feasible.all())
    assert not bool(fallback.any())


@pytest.mark.parametrize("name", CLAIMS)
def test_without_a_safeguard_it_leaves(name):
    system = system_of(name)
    x = sampled(system, 64)
    action = jnp.asarray(system.model.action_box.upper)
    w = jnp.zeros(system.disturbance_set.dim)
    step = jax.jit(jax.vmap(lambda x: system.model.step(x, action, w)))
    least = jnp.full(len(x), jnp.inf)
    for _ in range(150):
        x = step(x)
        least = jnp.fmin(least, jax.vmap(system.margin)(x))
    assert float(least.max()) < 0


def test_a_state_without_a_safe_action_has_an_empty_set():
    system = system_of("arm")
    x = jnp.array([1.99, 0.0, 2.9, 0.0])  # nearly at the wall, at full speed
    assert float(system.margin(x)) < 0
    out = jax.jit(lambda x: sw.BoundaryProjection()(system.safe_action_set(x), jnp.zeros(2)))(x)
    assert not bool(out.feasible)


def test_rows_have_exact_derivatives_in_both_modes():
    system = system_of("arm")
    x = jnp.array([0.4, -0.3, 1.1, -0.7])

    def value(x):
        rows = system.safe_action_set(x)
        return jnp.sum(jnp.sin(rows.A)) + jnp.sum(rows.b)

    with jax.enable_x64():
        x = jnp.asarray(x, jnp.float64)
        forward, reverse = jax.jit(lambda x: (jax.jacfwd(value)(x), jax.grad(value)(x)))(x)
        step = 1e-6
        numeric = [(value(x + step * e) - value(x - step * e)) / (2 * step) for e in np.eye(4)]
    assert np.allclose(forward, reverse, rtol=1e-9)
    assert np.allclose(forward, numeric, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CLAIMS)
def test_derivatives_through_the_deciding_facets_are_those_through_all(name):
    rows = system_of(name)._rows
    x = sampled(system_of(name), 200, seed=3)

    @jax.jit
    @jax.vmap
    def both(x):
        every = lambda x: jax.tree.leaves(rows._of_facets(x, {})[0])  # noqa: E731
        few = lambda x: jax.tree.leaves(rows._intervals(x))  # noqa: E731
        return every(x), few(x), jax.jacrev(every)(x), jax.jacrev(few)(x), jax.jacfwd(few)(x)

    values, same, through_all, through_few, forward = both(x)
    for value, other in zip(values, same, strict=True):
        np.testing.assert_array_equal(value, other)
    for full, few, modes in zip(through_all, through_few, forward, strict=True):
        # Where two facets tie up to rounding, one of them is as good as the other.
        error = np.abs(full - few).max(axis=-1) / (1 + np.abs(full).max(axis=-1))
        assert np.mean(error > 1e-4) <= 0.01
        np.testing.assert_allclose(few, modes, rtol=1e-4, atol=1e-4)
    assert max(np.abs(full).max() for full in through_all) > 1.0


def test_a_state_that_is_no_number_has_an_empty_set():
    for name in CLAIMS:
        system = system_of(name)
        x = sampled(system, 1)[0].at[0].set(jnp.nan)
        out = sw.BoundaryProjection()(system.safe_action_set(x), jnp.zeros(system.action_size))
        assert not bool(out.feasible)
        assert np.isfinite(out.action).all()


def test_intervals_are_of_virtual_inputs_within_their_box():
    claim = drone_claim()
    system = sw.ModelSystem(claim, state=lambda state: state)
    parts = InVirtualInputs(claim.model)
    x = sampled(system, 50)
    rows = jax.jit(jax.vmap(system.safe_action_set))(x)
    c = np.asarray(jax.vmap(lambda x: parts.inputs(x).c)(x))
    # The first block's input is the second one.
    upper, lower = np.asarray(rows.b)[:, 0] + c[:, 1], c[:, 1] - np.asarray(rows.b)[:, 1]
    assert np.all(upper <= 2.5 + 1e-4)
    assert np.all(lower >= -2.5 - 1e-4)
    assert np.all(lower < upper)
