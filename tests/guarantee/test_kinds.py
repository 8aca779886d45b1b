"""Kinds of claims that were once called proved and then left S: each ends in a refusal, a
refutation, or a true answer.

What concerns the program itself (lower precision, gathers, integers, overflow, derivatives declared
by hand) stands in certificates/test_one_program.py, what concerns systems and environments in
envs/test_guarantee.py, and files in test_forged.py.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from guarantee.attack import attack, float32_states
from robot_plants import ROBOTS
from scipy.optimize import linprog

import safe_wrappers as sw
from safe_wrappers import envs
from safe_wrappers.certificates import Claim, guarantee_of, prove
from safe_wrappers.certificates._rounding import rounding_bound
from safe_wrappers.models import Model
from safe_wrappers.safe_actions import SafeActionSet
from safe_wrappers.sets import Box, Polytope, Zonotope

# In virtual inputs rounding is bounded otherwise: certificates/test_robots.py.
SHIPPED = [
    (system, name)
    for system in envs.registered_names()
    for name in envs.certificate_names(system)
    if (system, name) not in ROBOTS
]


def interval_claim(step, **changes):
    """About |x| <= 1 for x' = step(x, a, w)."""
    parts = {
        "safe_state_set": Polytope([[1.0], [-1.0]], [1.0, 1.0]),
        "constraint_set": Box.symmetric([1.1]),
        "disturbance_set": Box.symmetric([0.05]),
    }
    return Claim(Model("line", step, 1, 1, 1), **{**parts, **changes})


# --- Allowances for rounding: derived anew, whatever is written down. ---


def far_away(offset):
    """A double integrator in the coordinates of a world whose origin is far away."""

    def step(x, a, w):
        v = x[1] + 0.1 * a[0] + 0.01 * w[0]
        return jnp.stack([((x[0] + offset) + 0.1 * v) - offset, v])

    return Model("world", step, 2, 1, 1, {"offset": offset})


def world_claim(offset, **changes):
    H = np.array([[1, 0], [0, 2.5], [1, 2.5]], np.float32)
    return Claim(
        far_away(offset),
        safe_state_set=Polytope(np.concatenate([H, -H]), np.ones(6, np.float32)),
        constraint_set=Box.symmetric([1.01, 0.41]),
        disturbance_set=Box.symmetric([1.0]),
        **changes,
    )


@pytest.mark.parametrize("offset", [0.0, 200.0, 2000.0, 20_000.0])
def test_an_allowance_that_is_too_small_is_refused_and_would_be_unsafe(offset):
    """The forger's system is the one of the same rows without an allowance."""
    forged = world_claim(offset, eps=0.0, gain=0.0, sigma=2e-5)
    assert prove(forged).status == "inconclusive"
    assert guarantee_of(forged, None).status == "tested"
    if offset >= 2000.0:
        assert attack(forged).exits > 0
        with pytest.raises(sw.CertificateError, match=r"`sigma` is 0\.0002, but the rounding"):
            world_claim(offset)


def test_an_honest_allowance_is_proved_and_holds():
    honest = world_claim(2000.0, sigma=8e-3)
    assert prove(honest).proved
    result = attack(honest)
    assert (result.exits, result.flagged) == (0, 0)


@pytest.mark.parametrize(("system", "name"), SHIPPED)
def test_the_allowances_of_shipped_sets_are_bounds_of_todays_program(system, name):
    claim = envs.load_certificate(system, name).claim
    eps, gain = rounding_bound(claim.model, claim.centered_set, claim.disturbance_set, claim.center)
    assert np.all(claim.eps.astype(np.float64) >= eps)
    assert np.all(claim.gain.astype(np.float64) >= gain)


# --- A step that reads what can change. ---


@pytest.mark.parametrize("when", ["after the proof", "before the proof, after the digest"])
def test_a_step_that_has_changed_since_is_tested(when):
    friction = [0.0]
    claim = interval_claim(lambda x, a, w: (0.9 + friction[0]) * x + 0.3 * a + w)
    if when == "after the proof":
        assert prove(claim).proved
        assert guarantee_of(claim, None).status == "proved"
        friction[0] = 0.6
    else:
        assert claim.program  # remembered by the claim
        friction[0] = 0.05
        assert prove(claim).proved
    guarantee = guarantee_of(claim, None)
    assert guarantee.status == "tested"
    fresh = interval_claim(claim.model.step)
    assert guarantee_of(fresh, None).status == ("tested" if friction[0] > 0.5 else "proved")
    assert prove(fresh).proved == (friction[0] < 0.5)


# --- Where episodes start. ---


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.001, 2.0])
@pytest.mark.parametrize("shift", [0.0, 0.1, 3.0])
def test_generators_that_stick_out_are_not_proved_and_those_that_do_not_start_inside(factor, shift):
    claim = envs.load_certificate("safe_pendulum", "walter2025").claim
    generators = Zonotope([shift, 0.0], factor * np.asarray(claim.generators.generators))
    forged = Claim(
        claim.model,
        safe_state_set=claim.safe_state_set,
        constraint_set=claim.constraint_set,
        disturbance_set=claim.disturbance_set,
        generators=generators,
    )
    proof = prove(forged)
    assert proof.proved == ((factor, shift) in ((0.5, 0.0), (0.5, 0.1), (1.0, 0.0)))
    if not proof.proved:
        assert "`generators` must span a set inside S" in proof.reason
        return
    system = sw.ModelSystem(forged, state=lambda x: x)
    x = jax.vmap(system.sample_generators)(jax.random.split(jax.random.PRNGKey(0), 2000))
    assert (np.asarray(x, np.float64) @ np.asarray(claim.safe_state_set.H, np.float64).T).max() <= 1


def needle(length):
    """|x1 + x2| <= 1 and |x1 - x2| <= length, thin for its length."""
    H = np.array([[1.0, 1.0], [1.0 / length, -1.0 / length]], np.float32)
    model = Model("needle", lambda x, a, w: 0.5 * x + 0.01 * w + 0.0 * a[0], 2, 1, 2)
    return Claim(
        model,
        safe_state_set=Polytope(np.concatenate([H, -H]), np.ones(4, np.float32)),
        constraint_set=Box.symmetric([2 * length, 2 * length]),
        disturbance_set=Box.symmetric([1.0, 1.0]),
        sigma=0.3,
        eps=1e-2,
        gain=1.0,
    )


def test_a_set_whose_sampled_states_may_lie_outside_is_not_proved():
    assert prove(needle(10.0)).proved
    proof = prove(needle(3000.0))
    assert not proof.proved
    assert "initial states are drawn from it" in proof.reason


# --- Sets that sampling takes for invariant. ---


def dented(width):
    """x' = x + 0.3 a + 0.1 w, pushed outwards where x1 is within `width` of 0.3712 and x2 is near
    1.
    """

    def step(x, a, w):
        push = 0.9 * jnp.exp(-(((x[0] - 0.3712) / width) ** 2)) * jax.nn.relu(x[1] - 0.5)
        return x + 0.3 * a + 0.1 * w + jnp.stack([0.0 * push, push])

    return Claim(
        Model("dented", step, 2, 2, 2),
        safe_state_set=Polytope(np.concatenate([np.eye(2), -np.eye(2)]), np.ones(4)),
        constraint_set=Box.symmetric([1.1, 1.1]),
        disturbance_set=Box.symmetric([1.0, 1.0]),
        sigma=0.05,
    )


@pytest.mark.parametrize("width", [0.1, 1e-2, 1e-3])
def test_a_dent_is_found_however_narrow(width):
    claim = dented(width)
    proof = prove(claim, max_cells=100_000)
    assert proof.status == "counterexample"
    assert abs(proof.counterexample[0] - 0.3712) < 3 * width
    if width == 1e-3:
        assert attack(claim).exits == 0  # sampling takes it for invariant


def test_a_dent_so_narrow_that_float32_steps_over_it_is_refused():
    with pytest.raises(sw.CertificateError, match="rounding of the model 'dented' needs"):
        dented(1e-4)


# --- The deepest action of needle-shaped sets of actions, on which executed actions stand. ---


def needles(rng, count, d, m, kind):
    """Rows near one line, with an action in the box that has a slack of at least 2.1 tau."""
    tau = (4 * d + 12) * np.finfo(np.float32).eps
    inside = rng.uniform(-1, 1, (count, d))
    base = rng.normal(size=(count, 1, d))
    spread = 10.0 ** (rng.uniform(-4, 0, (count, m, 1)) if kind else np.full((count, m, 1), -2.5))
    A = base / np.linalg.norm(base, axis=2, keepdims=True) * rng.choice([-1, 1], (count, m, 1))
    A = A + rng.normal(size=(count, m, d)) * spread
    A = (A / np.linalg.norm(A, axis=2, keepdims=True)).astype(np.float32)
    slack = 2.1 * tau + rng.choice([0.0, 1.0], (count, m)) * 10.0 ** rng.uniform(-6, 0, (count, m))
    b = np.einsum("nmd,nd->nm", A.astype(np.float64), inside) + slack
    b = b.astype(np.float32)
    left = b - np.einsum("nmd,nd->nm", A.astype(np.float64), inside)
    kept = (left / np.linalg.norm(A.astype(np.float64), axis=2)).min(axis=1) >= 2 * tau
    return A[kept], b[kept]


@pytest.mark.parametrize("kind", [0, 1])
def test_an_executed_action_satisfies_the_rows_or_is_flagged(kind):
    rng, d = np.random.default_rng(kind), 2
    A, b = needles(rng, 4096, d, 12, kind)
    request = rng.choice([-1.0, 1.0], (len(A), d)).astype(np.float32)

    @jax.jit
    @jax.vmap
    def executed(A, b, request):
        return sw.BoundaryProjection()(SafeActionSet.from_rows(A, b), request)

    output = executed(A, b, request)
    action = np.asarray(output.action, np.float64)
    beyond = (np.einsum("nmd,nd->nm", A.astype(np.float64), action) - b).max(axis=1)
    flagged = ~np.asarray(output.feasible)
    print(f"{len(A)} sets: {(beyond > 0).sum()} beyond the rows, {flagged.sum()} flagged")
    assert not np.any((beyond > 0) & ~flagged)
    assert flagged.mean() <= 1e-3


def test_the_attack_finds_an_unsafe_action_where_there_is_one():
    """The attack itself: a claim that is false, and one that is true but nearly critical."""
    false = interval_claim(lambda x, a, w: 1.2 * x + 0.1 * a + w)
    assert not prove(false).proved
    result = attack(false)
    assert result.exits > 0
    assert result.flagged > 0
    near = interval_claim(lambda x, a, w: 1.2 * x + (0.25 + 3e-4) * a + w)
    assert prove(near).proved
    result = attack(near)
    assert (result.exits, result.flagged) == (0, 0)
    assert result.worst > -1e-4
    x = float32_states(near, 100)
    assert np.abs(x).max() == 1.0
    room = linprog([0, -1], [[0.2503, 1], [-0.2503, 1]], [1 - 1.25, 1 + 1.15], bounds=[(-1, 1)] * 2)
    assert -room.fun == pytest.approx(3e-4, abs=1e-6)
