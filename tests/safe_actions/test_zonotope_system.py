"""Zonotopes as safe state sets; the oracle decides membership of next states by linear programming
in generator space, in float64.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import keys
from params import slow
from plants import quadrotor
from scipy.linalg import solve_discrete_are
from scipy.optimize import linprog

import safe_wrappers as sw
from safe_wrappers import Box, ModelSystem, Zonotope, ZonotopeSystem
from safe_wrappers.certificates import Claim
from safe_wrappers.envs import dynamics
from safe_wrappers.safe_actions._zonotope_system import _anchor

EPS = 2e-5
WIND = Box.symmetric([0.1, 0.1])


def linearised(model):
    """A, B and E of the model at the origin, float64."""
    n, d, k = model.state_size, model.action_size, model.disturbance_size
    with jax.enable_x64():
        A = jax.jacobian(lambda x: model.step(x, jnp.zeros(d), jnp.zeros(k)))(jnp.zeros(n))
        return np.asarray(A), *(np.asarray(part) for part in model.affine(jnp.zeros(n))[1:])


def hover_zonotope(count, seed=0):
    """Generators spread over the ellipsoid of a linear controller at hover, scaled into the state
    constraints: plausible, not proved invariant.
    """
    A, B, _ = linearised(dynamics.quadrotor())
    box = np.array([8, 8, 0.26, 0.8, 1, 1.57])
    P = solve_discrete_are(A, B, np.diag(box**-2.0), np.eye(2))
    V = np.random.default_rng(seed).normal(size=(6, count))
    for _ in range(500):  # lines repel each other on the sphere
        V /= np.linalg.norm(V, axis=0)
        V = V - 0.1 * V @ (V.T @ V * (1 - np.eye(count))) ** 3
    G = np.linalg.solve(np.linalg.cholesky(P).T, V / np.linalg.norm(V, axis=0))
    return Zonotope(np.zeros(6), G * (box / np.abs(G).sum(axis=1)).min())


def quadrotor_system(zonotope):
    unbounded = Box(np.full(6, -np.inf), np.full(6, np.inf))
    return ZonotopeSystem(
        dynamics.quadrotor(),
        safe_state_set=zonotope,
        constraint_set=unbounded,
        disturbance_set=WIND,
        state=lambda state: state,
    )


@pytest.mark.slow
def test_a_model_without_disturbances_has_the_rows_of_its_box():
    model = sw.Model(
        "drift", lambda x, a, w: x + 0.1 * a, state_size=2, action_size=2, disturbance_size=0
    )
    square = Box.symmetric([1.0, 1.0])
    bounds = dict(constraint_set=square, disturbance_set=Box(np.zeros(0), np.zeros(0)))
    zonotope = ZonotopeSystem(
        model,
        safe_state_set=Zonotope(np.zeros(2), np.eye(2)),
        state=lambda state: state,
        **bounds,
    )
    claim = Claim(model, safe_state_set=sw.Polytope(*square.halfspaces()), **bounds)
    polytope = ModelSystem(claim, state=lambda state: state)
    for system in (zonotope, polytope):
        output = sw.safe_action(
            system, sw.BoundaryProjection(), jnp.array([0.95, 0.0]), jnp.array([1.0, 0.25])
        )
        np.testing.assert_allclose(output.action, [0.5, 0.25], atol=1e-3)


def states(zonotope, count, seed=0):
    """States of S, half of them within 1e-3 of its boundary. Float32."""
    rng = np.random.default_rng(seed)
    G = np.asarray(zonotope.generators, np.float64)
    x = rng.uniform(-1, 1, (count, G.shape[1])) @ G.T
    H, h = zonotope.halfspaces()
    gauge = (x @ H.T / (h - H @ zonotope.center)).max(axis=1, keepdims=True)
    x = np.where(np.arange(count)[:, None] % 2, x / gauge * 0.999, x)
    return (np.asarray(zonotope.center) + x).astype(np.float32)


def gauge(zonotope, x):
    """The least t with x = c + G beta, |beta_j| <= t, by linear programming: inside if at most
    1.
    """
    G = np.asarray(zonotope.generators, np.float64)
    k = G.shape[1]
    A_ub = np.block([[np.eye(k), -np.ones((k, 1))], [-np.eye(k), -np.ones((k, 1))]])
    result = linprog(
        np.append(np.zeros(k), 1),
        A_ub,
        np.zeros(2 * k),
        np.column_stack([G, np.zeros(len(G))]),
        x - zonotope.center,
        bounds=(None, None),
    )
    assert result.status == 0
    return result.fun


def exact_rows(zonotope, x):
    """All rows of the safe action sets at x (states, 6), unit box left out, in float64: A (states,
    m, 2), b (states, m).
    """
    H, h = zonotope.halfspaces()
    h, H = h - H @ zonotope.center, H / (h - H @ zonotope.center)[:, None]
    x, still = x.astype(np.float64), np.zeros((len(x), 2))
    corners = np.array(list(itertools.product([-0.1, 0.1], repeat=2)))
    b = np.min([1 - (quadrotor(x, still, w) - zonotope.center) @ H.T for w in corners], axis=0)
    A = np.stack(
        [
            (quadrotor(x, still + e, corners[0]) - quadrotor(x, still, corners[0])) @ H.T
            for e in np.eye(2)
        ],
        axis=-1,
    )
    return A, b


@pytest.fixture(scope="module")
def large():
    zonotope = hover_zonotope(16)
    return zonotope, quadrotor_system(zonotope)


@pytest.fixture(scope="module")
def large_sets(large):
    zonotope, system = large
    x = states(zonotope, 100)
    return x, jax.jit(jax.vmap(system.safe_action_set))(x)


@pytest.mark.parametrize(
    "safeguard",
    [sw.BoundaryProjection(), *slow(sw.RayMask())],
    ids=["projection", "ray_mask"],
)
def test_executed_actions_keep_the_next_state_in_the_zonotope(large, safeguard):
    zonotope, system = large
    x = states(zonotope, 24, seed=1)
    a = np.random.default_rng(2).choice([-1.0, 1.0], (24, 2)).astype(np.float32)
    out = jax.jit(jax.vmap(lambda x, a: sw.safe_action(system, safeguard, x, a)))(x, a)
    assert np.all(out.feasible)
    assert np.any(np.asarray(out.distance) > 0.01)
    corners = itertools.product([-0.1, 0.1], repeat=2)
    successors = [
        quadrotor(x.astype(float), np.asarray(out.action, float), np.array(w)) for w in corners
    ]
    worst = max(gauge(zonotope, successor) for step in successors for successor in step)
    assert worst <= 1 - EPS / 2


def test_the_rows_are_exactly_the_safe_actions(large, large_sets):
    """Both directions, 8,736 facets: the rows' margin of any action is that of its worst next
    state, less eps.
    """
    zonotope, _ = large
    x, action_set = large_sets
    A, b = exact_rows(zonotope, x)
    assert A.shape[1] == 8736
    a = np.random.default_rng(0).uniform(-1, 1, (len(x), 2))
    theirs = (b - np.einsum("smd,sd->sm", A, a)).min(axis=1) - EPS
    ours = (
        np.asarray(action_set.b, float)
        - np.einsum("smd,sd->sm", np.asarray(action_set.A, float), a)
    ).min(axis=1)
    assert np.abs(ours - theirs).max() < EPS / 5  # rounding, far inside its allowance
    assert np.any(theirs < 0)
    assert np.any(theirs > 0.1)


def test_rows_have_derivatives(large):
    zonotope, system = large
    x, dx = states(zonotope, 1)[0].astype(float), np.array([0.1, 0.2, 0.3, -0.2, 0.1, 0.5])
    with jax.enable_x64():
        tangent = jax.jit(lambda *v: jax.jvp(system.safe_action_set, v[:1], v[1:])[1])(x, dx)
    ends = [exact_rows(zonotope, x[None] + step * dx) for step in (1e-5, -1e-5)]
    A, b = ((plus - minus)[0] / 2e-5 for plus, minus in zip(*ends, strict=True))
    # The system stacks the pairs of facets and then pads, the half-spaces do not.
    tables = (
        np.stack([np.asarray(v)[:4368] for v in (*np.asarray(tangent.A).T, tangent.b)]),
        np.stack([v[:4368] for v in (*A.T, b)]),
    )
    np.testing.assert_allclose(*tables, rtol=1e-4, atol=1e-4)
    assert not np.any(tangent.anchor)


def test_anchors_keep_half_of_the_largest_margin(large, large_sets):
    zonotope, _ = large
    x, action_set = large_sets
    A, b = exact_rows(zonotope, x[:30])
    for A_i, b_i, anchor in zip(A, b, np.asarray(action_set.anchor, float), strict=False):
        lengths = np.abs(A_i).sum(axis=1)
        best = linprog(
            [0, 0, -1],
            np.column_stack([A_i, lengths]),
            b_i - EPS,
            bounds=[(-1, 1), (-1, 1), (None, None)],
        )
        # half of another norm's largest one, and norms differ by sqrt(2)
        assert ((b_i - EPS - A_i @ anchor) / lengths).min() >= 0.3 * best.x[2]


def test_anchors_are_found_when_the_rows_that_matter_hide_behind_each_other():
    """The small box 0.8 < a_1 < 0.9, -0.7 < a_2 < -0.6 by four rows that compete for one place; the
    first point violates some of them.
    """
    rng = np.random.default_rng(0)
    A = rng.normal(size=(1024, 2))
    b = 3 * np.abs(A).sum(axis=1)
    A[::256], b[::256] = [[1, 0], [-1, 0], [0, 1], [0, -1]], [0.9, -0.8, -0.6, 0.7]
    anchor = jax.jit(_anchor)(jnp.asarray(A.T, jnp.float32), jnp.asarray(b, jnp.float32))
    # half of the largest margin is 0.025
    np.testing.assert_allclose(anchor, [0.85, -0.65], atol=0.026)


def test_states_without_a_safe_action_are_flagged(large):
    zonotope, system = large
    x = (1.5 * states(zonotope, 24)[1::2]).astype(np.float32)
    A, b = exact_rows(zonotope, x)
    margins = [
        linprog(
            [0, 0, -1],
            np.column_stack([A_i, 0 * b_i + 1]),
            b_i,
            bounds=[(-1, 1)] * 2 + [(None, None)],
        ).x[2]
        for A_i, b_i in zip(A, b, strict=True)
    ]
    best = np.array(margins)
    out = jax.jit(
        jax.vmap(lambda x: sw.safe_action(system, sw.BoundaryProjection(), x, jnp.ones(2)))
    )(x)
    assert np.any(best < 0)
    assert not np.any(np.asarray(out.feasible)[best < 0])
    assert np.all(np.abs(out.action) <= 1)


@pytest.mark.slow
def test_the_linear_encoding_with_a_frozen_noise_budget_admits_no_more():
    """E G_w = G_s Gamma once, then c + B a - c_s = G_s beta with |beta_i| <= 1 - sum_j |Gamma_ij|:
    contained in the rows' set.
    """
    zonotope = hover_zonotope(9)
    system, model = quadrotor_system(zonotope), dynamics.quadrotor()
    G, (_, _, E) = np.asarray(zonotope.generators, float), linearised(model)
    noise = sw.zonotope_in_zonotope(Zonotope(np.zeros(6), E * 0.1), zonotope)
    rho = 1 - np.abs(noise.gamma).sum(axis=1)
    x = states(zonotope, 20, seed=3)
    with jax.enable_x64():
        c, B, _ = (np.asarray(part, float) for part in jax.vmap(model.affine)(x.astype(float)))
    action_set = jax.jit(jax.vmap(system.safe_action_set))(x)
    ratios = []
    for c_i, B_i, A_i, b_i in zip(
        c, B, np.asarray(action_set.A, float), np.asarray(action_set.b, float), strict=True
    ):
        for direction in np.array([[1.0, 0.3], [-0.3, 1.0]]):
            bounds = [(-1, 1)] * 2 + [(-r, r) for r in rho]
            lifted = linprog(
                [*-direction, *np.zeros(9)],
                A_eq=np.column_stack([B_i, -G]),
                b_eq=-c_i,
                bounds=bounds,
            )
            rows = linprog(-direction, A_i, b_i + 2 * EPS, bounds=[(-1, 1)] * 2)
            if lifted.status == 0:
                assert rows.status == 0
                assert -lifted.fun <= -rows.fun + 1e-7
                ratios.append(lifted.fun / rows.fun)
    print(
        f"support of the encoded set over that of the rows: median {np.median(ratios):.4f}, "
        f"least {np.min(ratios):.3f}"
    )
    assert len(ratios) > 10


def test_few_facets_give_the_rows_of_the_half_space_system():
    zonotope = Zonotope(np.zeros(2), np.array([[0.3, 0.1, 0.2], [0.5, 2.0, -1.0]]))
    options = dict(
        constraint_set=Box.symmetric([1.0, 8.0]), disturbance_set=Box([-0.1], [0.3]), eps=EPS
    )
    claim = Claim(dynamics.pendulum(), safe_state_set=zonotope.to_polytope(), **options)
    by_facets = ModelSystem(claim, state=lambda state: state)
    system = ZonotopeSystem(
        dynamics.pendulum(), safe_state_set=zonotope, state=lambda state: state, **options
    )
    for x in jnp.array([[0.0, 0.0], [0.3, -1.0], [-0.5, 2.0]]):
        ours, theirs = system.safe_action_set(x), by_facets.safe_action_set(x)
        np.testing.assert_allclose(ours.A, theirs.A, atol=1e-6)
        np.testing.assert_allclose(ours.b, theirs.b, atol=1e-6)
        np.testing.assert_allclose(ours.anchor, theirs.anchor, atol=1e-5)
        assert system.margin(x) == pytest.approx(float(by_facets.margin(x)), abs=1e-6)
        assert system.violation(x) == by_facets.violation(x)
    x = jax.vmap(system.sample_initial)(keys(0, 1000))
    assert float(jax.vmap(by_facets.margin)(x).min()) > 0


def test_a_parallelotope_off_the_origin():
    """Twelve half-spaces in six dimensions, the centre 5 m up: the origin is far outside."""
    centre = np.array([0, 5.0, 0, 0, 0, 0])
    G = np.asarray(hover_zonotope(6).generators)
    system = quadrotor_system(Zonotope(centre, G))
    zonotope = system.safe_state_set
    assert system.margin(jnp.asarray(centre, jnp.float32)) == 1
    x = states(zonotope, 200)
    beta = np.linalg.solve(G, (x - centre).astype(float).T)
    np.testing.assert_allclose(jax.vmap(system.margin)(x), 1 - np.abs(beta).max(axis=0), atol=1e-4)
    action_set = jax.jit(jax.vmap(system.safe_action_set))(x)
    A, b = exact_rows(zonotope, x)
    assert action_set.A.shape == A.shape == (200, 12, 2)
    a = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    theirs = (b - np.einsum("smd,sd->sm", A, a)).min(axis=1) - EPS
    ours = (
        np.asarray(action_set.b, float)
        - np.einsum("smd,sd->sm", np.asarray(action_set.A, float), a)
    ).min(axis=1)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_a_state_that_is_not_finite_gets_the_neutral_action(large):
    _, system = large
    out = jax.jit(lambda x, a: sw.safe_action(system, sw.BoundaryProjection(), x, a))(
        jnp.full(6, jnp.nan), jnp.ones(2)
    )
    assert out.action.tolist() == [0, 0]
    assert not out.feasible
    assert isinstance(system, sw.System)
    assert system.certificate is None


def test_sets_that_do_not_fit_are_refused():
    with pytest.raises(
        sw.SetDimensionError,
        match=r"`safe_state_set` must have dimension 6 for the model .*, but it has 2",
    ):
        quadrotor_system(Zonotope(np.zeros(2), np.eye(2)))
    with pytest.raises(
        sw.SetDimensionError, match="must span all 6 dimensions, but their rank is 3"
    ):
        quadrotor_system(Zonotope(np.zeros(6), np.eye(6)[:, :3]))


def unit_square(step, **changes):
    """A system on the unit square whose model has one action."""
    parts = {
        "model": sw.Model("test", step, 2, 1, 1),
        "safe_state_set": Zonotope([0.0, 0.0], np.eye(2)),
        "disturbance_set": Box.symmetric([1.0]),
        "constraint_set": Box.symmetric([9.0, 9.0]),
        "state": lambda env_state: env_state,
    }
    return ZonotopeSystem(**{**parts, **changes})


@pytest.mark.parametrize(
    ("push", "through"),
    [(lambda a: 0.15 * a**2, "integer_pow"), (lambda a: jnp.tanh(3 * a), "tanh")],
)
def test_a_model_that_is_not_affine_in_the_action_is_refused(push, through):
    """The rows are those of the linearisation at a = 0, and say nothing of what is left."""
    with pytest.raises(sw.ModelError, match=f"must be affine .* passes through `{through}`"):
        unit_square(lambda x, a, w: jnp.stack([x[0] + push(a[0]) + 0.01 * w[0], 0.9 * x[1]]))


def linear(x, a, w):
    return jnp.stack([1.05 * x[0] + 0.2 * a[0] + 0.01 * w[0], 0.9 * x[1]])


@pytest.mark.parametrize("eps", [-1.0, np.nan, np.inf, "-0.01", None, np.zeros(2)])
def test_an_eps_that_is_no_bound_is_refused(eps):
    with pytest.raises(sw.SetDimensionError, match="`eps`"):
        unit_square(linear, eps=eps)


@pytest.mark.parametrize(
    "name", ["model", "safe_state_set", "disturbance_set", "constraint_set", "state"]
)
def test_parts_of_another_kind_are_refused_by_name(name):
    with pytest.raises(TypeError, match=f"`{name}` is 3, but it must be a"):
        unit_square(linear, **{name: 3})
