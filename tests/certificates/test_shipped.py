"""Every shipped certificate is proved, is as large as promised, and holds against plants that are
written anew in NumPy.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plants import PLANTS, action_rows, disturbance_vertices, facets, interval
from robot_plants import ROBOTS
from scipy.linalg import solve_discrete_are

from safe_wrappers import BoundaryProjection, SafeguardWrapper, envs
from safe_wrappers.certificates import Claim, prove
from safe_wrappers.safe_actions import ModelSystem

# The robots' sets have more vertices than can be listed: test_robots.py.
SHIPPED = [
    (system, name)
    for system in envs.registered_names()
    for name in envs.certificate_names(system)
    if (system, name) not in ROBOTS
]
# Smallest volume (in the units of the state) and most facets.
SIZES = {
    ("safe_pendulum", "full"): (99.87, 6),
    ("safe_pendulum", "upright"): (32.6, 10),
    ("safe_pendulum", "narrow"): (15.2, 8),
    ("safe_pendulum", "walter2025"): (66.8, 12),
    ("safe_cart_pole", "wide"): (82.3, 24),
    ("safe_cart_pole", "classic"): (25.3, 40),
    ("safe_quadrotor", "wide"): (935.0, 20),
}
BOUNDS = {  # of the angle, rad, which the names stand for
    ("safe_pendulum", "full"): np.pi,
    ("safe_pendulum", "upright"): np.pi / 3,
    ("safe_pendulum", "narrow"): 0.5,
    ("safe_cart_pole", "wide"): 0.5,
    ("safe_cart_pole", "classic"): 0.2095,
}
LEAST_MARGIN = 2e-6  # eps >= 5e-6 less the rounding of the rows and of the action
certificate_of = functools.cache(envs.load_certificate)


@pytest.mark.gpu
@pytest.mark.parametrize(("system", "name"), SHIPPED)
def test_it_is_about_the_bundled_model_and_proved(system, name):
    certificate = certificate_of(system, name)
    assert certificate.name == name
    assert certificate.claim.model.name == system
    result = prove(certificate.claim)
    assert result.status == "proved", result.reason
    # The shipped file records this very proof, and perhaps those under other versions of JAX.
    assert result.record._replace(program=certificate.record.program) == certificate.record
    assert certificate.record.is_of(result.record.program), (
        "run `python benchmarks/record_programs.py` under this version of JAX"
    )
    assert result.margin >= certificate.claim.sigma == 2e-4
    assert result.counterexample is None
    assert result.seconds < 60  # about 1 s each on an idle core


def test_all_sets_of_the_documentation_are_shipped():
    assert set(SHIPPED) == set(SIZES)


@pytest.mark.parametrize(("system", "name"), SIZES)
def test_it_is_as_large_as_promised_with_as_few_facets(system, name):
    S = certificate_of(system, name).claim.safe_state_set
    volume, most_facets = SIZES[system, name]
    assert S.volume() >= volume
    assert len(S.H) <= most_facets


@pytest.mark.parametrize(("system", "name"), BOUNDS)
def test_it_fills_its_angle_and_keeps_the_bound(system, name):
    claim = certificate_of(system, name).claim
    angle = 0 if system == "safe_pendulum" else 1
    bound = BOUNDS[system, name]
    np.testing.assert_array_equal(
        [-claim.constraint_set.lower[angle], claim.constraint_set.upper[angle]], bound
    )
    assert 0.99999 * bound < np.abs(claim.safe_state_set.vertices()[:, angle]).max() <= bound


def test_the_papers_zonotope_leaves_the_velocity_box():
    """It is invariant, but no set for |thd| <= 8: it reaches 11.6 rad/s.

    So its certificate bounds the angle only.
    """
    claim = certificate_of("safe_pendulum", "walter2025").claim
    reach = np.abs(claim.safe_state_set.vertices()).max(axis=0)
    np.testing.assert_allclose(reach, [2.636, 11.58], atol=5e-3)
    np.testing.assert_allclose(np.abs(claim.generators.generators).sum(axis=1), reach, rtol=1e-6)
    assert reach[1] > certificate_of("safe_pendulum", "full").claim.constraint_set.upper[1] == 8.0
    np.testing.assert_array_equal(claim.constraint_set.upper, [np.pi, np.inf])
    model, boxed = (
        envs.get_model("safe_pendulum"),
        certificate_of("safe_pendulum", "full").claim.constraint_set,
    )
    result = prove(
        Claim(
            model,
            safe_state_set=claim.safe_state_set,
            constraint_set=boxed,
            disturbance_set=claim.disturbance_set,
        )
    )
    assert result.status == "counterexample"
    assert abs(result.counterexample[1]) > 8.0


def boundary_heavy(claim, count, rng):
    """States of S, shape (count, n), float32: a fifth uniform, the rest within 1e-6 of the
    boundary, half of these near edges and vertices.
    """
    S, H = claim.safe_state_set, facets(claim)
    fan = S.triangulate()
    simplices = np.asarray(fan.simplices, np.float64)[
        rng.choice(len(fan.volumes), count, p=fan.volumes / fan.volumes.sum())
    ]
    # Dirichlet weights: 1 is uniform, 0.1 prefers few corners of a simplex.
    weights = (
        rng.gamma(np.where(np.arange(count) % 2, 0.1, 1.0)[:, None], size=simplices.shape[:2])
        + 1e-300
    )
    x = np.einsum("sc,scn->sn", weights / weights.sum(axis=1, keepdims=True), simplices)
    pushed = np.arange(count) % 5 > 0
    level = np.where(pushed, (x @ H.T).max(axis=1) * (1 + 1e-6), 1 + 1e-6)
    x = (x / np.maximum(level, 1e-6)[:, None]).astype(np.float32)
    assert ((x.astype(np.float64) @ H.T) <= 1).all()
    return x


def extreme_actions(A, b):
    """Lowest, middle and highest values of each action in turn, within the rows that no later
    action enters; shapes (states, d), 3^d of them.
    """
    chosen = [np.zeros((len(b), 0))]
    for j in range(A.shape[2]):
        rows = (A[:, :, j] != 0).any(axis=0) & ~(A[:, :, j + 1 :] != 0).any(axis=(0, 2))
        ends = [
            interval(A[:, rows, j], b[:, rows] - np.einsum("smj,sj->sm", A[:, rows, :j], head))
            for head in chosen
        ]
        assert all((lower <= upper).all() for lower, upper in ends), "some state has no safe action"
        chosen = [
            np.column_stack([head, a])
            for head, (low, high) in zip(chosen, ends, strict=True)
            for a in (low, 0.5 * (low + high), high)
        ]
    return chosen


def smallest_margin(system, name, count, seed):
    """The least 1 - H_i x' over states, extreme and middle actions of the safe action set as
    computed in float32, and all vertices of W.
    """
    claim, plant = certificate_of(system, name).claim, PLANTS[system]
    runtime = ModelSystem(certificate_of(system, name), state=lambda state: state)
    x = boundary_heavy(claim, count, np.random.default_rng(seed))
    action_set = jax.jit(jax.vmap(runtime.safe_action_set))(x)
    actions = [
        np.clip(a, -1, 1).astype(np.float32)
        for a in extreme_actions(np.asarray(action_set.A), np.asarray(action_set.b))
    ]
    exact = x.astype(np.float64)
    return min(
        float((1 - plant(exact, a.astype(np.float64), w) @ facets(claim).T).min())
        for a in actions
        for w in disturbance_vertices(claim)
    )


@pytest.mark.gpu
@pytest.mark.smoke
@pytest.mark.parametrize(("system", "name"), SHIPPED)
def test_extreme_safe_actions_keep_the_next_state_inside(system, name):
    """50,000 boundary-heavy states, all vertices of W, next states in float64 from equations that
    share no code with the package.
    """
    margin = smallest_margin(system, name, 50_000, seed=0)
    print(f"{system} {name}: smallest margin {margin:.3g}")
    assert margin >= LEAST_MARGIN


@pytest.mark.slow
@pytest.mark.parametrize(("system", "name"), SHIPPED)
def test_a_million_boundary_heavy_states_have_no_exit(system, name):
    margin = min(smallest_margin(system, name, 50_000, seed) for seed in range(1, 21))
    print(f"{system} {name}: smallest margin at 1,000,000 states {margin:.3g}")
    assert margin >= LEAST_MARGIN


@pytest.mark.parametrize(
    ("system", "name"), [pair for pair in SHIPPED if pair[0] != "safe_quadrotor"]
)
def test_every_state_has_an_action_of_margin_sigma(system, name):
    """The claim itself, at states: the interval of the actions that keep H x' <= 1 - sigma is not
    empty.
    """
    claim = certificate_of(system, name).claim
    x = boundary_heavy(claim, 50_000, np.random.default_rng(100)).astype(np.float64)
    A, b = action_rows(claim, PLANTS[system], x)
    lower, upper = interval(A[..., 0], b - claim.sigma)
    assert (lower <= upper).all()


def stabilising_gain(system):
    """K of the LQR feedback a = -K x at the upright equilibrium, shape (1, n), from differences of
    the NumPy plant.
    """
    plant, n = PLANTS[system], envs.get_model(system).state_size
    h, still, calm = 1e-6, np.zeros(1), np.zeros(2)
    A = np.stack(
        [(plant(h * e, still, calm) - plant(-h * e, still, calm)) / (2 * h) for e in np.eye(n)],
        axis=1,
    )
    B = plant(np.zeros(n), np.ones(1), calm)[:, None]
    P = solve_discrete_are(A, B, np.eye(n), np.eye(1))
    return np.linalg.solve(np.eye(1) + B.T @ P @ B, B.T @ P @ A)


@functools.cache
def rollout(system, backend, count=8, steps=240):
    """Safeguarded LQR feedback from each backend's own state, with requests pushed by shared
    bang-bang signals and shared random disturbances.

    Returns:
        The states, shape (steps + 1, count, n), the executed actions (steps, count, 1) and the
        disturbances (steps, count, k).
    """
    env = SafeguardWrapper(envs.get_environment(system, backend=backend), BoundaryProjection())
    K = jnp.asarray(stabilising_gain(system), jnp.float32)
    rng = np.random.default_rng(0)
    pushes = np.repeat(rng.choice([-1.0, 1.0], (steps // 4, count, 1)), 4, axis=0).astype(
        np.float32
    )
    keys = jax.random.split(jax.random.PRNGKey(0), count)

    def step(state, push):
        request = 0.3 * push - jax.vmap(env.system.state)(state) @ K.T
        after = jax.vmap(env.step)(state, request)
        return after, (
            jax.vmap(env.system.state)(after),
            after.info["safeguard"]["action"],
            after.info["disturbance"],
        )

    @jax.jit
    def run(keys):
        start = jax.vmap(env.reset)(keys)
        _, (states, actions, disturbances) = jax.lax.scan(step, start, pushes)
        return (
            jnp.concatenate([jax.vmap(env.system.state)(start)[None], states]),
            actions,
            disturbances,
        )

    return jax.tree.map(np.asarray, run(keys))


# Brax reads a field of MuJoCo's data that has moved.
brax_physics = pytest.mark.filterwarnings("ignore:Accessing `ncon`:DeprecationWarning")


@brax_physics
@pytest.mark.parametrize("system", ["safe_pendulum", "safe_cart_pole"])
def test_closed_form_and_brax_physics_agree(system):
    """240 steps of the closed form and of Brax's generalized pipeline from the same starts agree to
    1e-4.

    Both see the same disturbances and the same pushes of +-0.3 on top of a stabilising feedback
    from their own state, each under the safeguard: replaying one list of actions on an unstable
    equilibrium would multiply a difference of 1e-7 by e^19 (cart-pole) or more. So the executed
    actions agree as well, to what the feedback makes of the states' difference.
    """
    (x, a, w), (other_x, other_a, other_w) = (
        rollout(system, "closed_form"),
        rollout(system, "generalized"),
    )
    np.testing.assert_array_equal(w, other_w)
    np.testing.assert_allclose(other_x, x, rtol=0, atol=1e-4)
    np.testing.assert_allclose(other_a, a, rtol=0, atol=1e-4)
    assert np.ptp(a) > 0.5  # the trajectories do move


@brax_physics
@pytest.mark.parametrize("system", ["safe_pendulum", "safe_cart_pole"])
@pytest.mark.parametrize("backend", ["closed_form", "generalized"])
def test_every_recorded_step_is_the_plants(system, backend):
    """The residual of each of the 240 recorded steps against the NumPy plant, for the recorded
    state, executed action and disturbance.
    """
    x, a, w = (part.astype(np.float64) for part in rollout(system, backend))
    residual = np.abs(x[1:] - PLANTS[system](x[:-1], a, w))
    H = np.abs(
        facets(
            certificate_of(
                system, {"safe_pendulum": "full", "safe_cart_pole": "wide"}[system]
            ).claim
        )
    )
    assert (residual @ H.T).max() < 5e-6 / 10  # a tenth of eps, in the scale of the set
