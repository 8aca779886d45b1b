import dataclasses
import itertools

import brax.envs
import brax.math
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import facets, keys, margins, states_in

import safe_wrappers as sw
from safe_wrappers.certificates import Claim, prove
from safe_wrappers.envs import SafeQuadrotor, dynamics, load_certificate
from safe_wrappers.synthesis import synthesise

CORNERS = np.array(list(itertools.product((-1.0, 1.0), repeat=2))) * float(np.float32(0.1))
Z, X = [1, 4], [0, 2, 3, 5]


def next_states(x, action, w):
    """The equations of the task in float64, written once more; shapes (..., 6), (..., 2), (...,
    2).
    """
    x, action = np.asarray(x, np.float64), np.asarray(action, np.float64)
    pos, height, roll, vel, climb, rate = np.moveaxis(x, -1, 0)
    T, u = 9.81 + 6 / 7 * action[..., 0], np.pi / 12 * action[..., 1]
    vel = vel + 0.05 * (T * np.sin(roll) + w[..., 0])
    climb = climb + 0.05 * (T * np.cos(roll) - 9.81 + w[..., 1])
    rate = rate + 0.05 * (55 * u - 70 * roll - 17 * rate)
    return np.stack(
        [pos + 0.05 * vel, height + 0.05 * climb, roll + 0.05 * rate, vel, climb, rate], axis=-1
    )


def worst_margins(H, x, action):
    """The least margin of the next state over all vertices of W, in float64."""
    return np.min([margins(H, next_states(x, action, w)) for w in CORNERS], axis=0)


@pytest.fixture(scope="module")
def env():
    return SafeQuadrotor()


@pytest.fixture(scope="module")
def certificate():
    return load_certificate("safe_quadrotor", "wide")


@pytest.fixture(scope="module")
def claim(certificate):
    return certificate.claim


@pytest.fixture(scope="module")
def guarded():
    return sw.SafeguardWrapper(SafeQuadrotor(disturbance="worst_case"), sw.BoundaryProjection())


def boundary_heavy_states(env, count, seed=0):
    """States of S in float32: uniform ones, ones on a facet, on facets of both blocks, and next to
    pairs of vertices of the blocks.
    """
    system, quarter = env.system, count // 4
    states = states_in(env, 2 * quarter, seed)
    H, rng = facets(env), np.random.default_rng(seed)
    parts = {}
    for block in system.blocks:
        vertices = block.factor(system.safe_state_set).vertices()
        ends = vertices[rng.integers(len(vertices), size=(2, 2 * quarter))]
        weight = rng.uniform(size=(2 * quarter, 1)) * (np.arange(2 * quarter) < quarter)[:, None]
        points = ends[0] + weight * (ends[1] - ends[0])
        rows = H[block.facets(H)][:, list(block.states)]
        parts[block.states] = points / (points @ rows.T).max(axis=1, keepdims=True)
    corner = np.zeros((2 * quarter, 6))
    for columns, points in parts.items():
        corner[:, list(columns)] = points
    return np.concatenate([states, (corner * (1 - 1e-6)).astype(np.float32)])


def test_the_model_is_the_equations_of_the_task():
    model, rng = dynamics.quadrotor(), np.random.default_rng(0)
    x, a, w = rng.normal(size=(50, 6)), rng.uniform(-1, 1, (50, 2)), rng.uniform(-1, 1, (50, 2))
    with jax.enable_x64():
        np.testing.assert_allclose(
            jax.vmap(model.step)(x, a, w), next_states(x, a, w), rtol=0, atol=1e-14
        )


def test_the_shipped_set_is_a_product_of_blocks(env, certificate):
    H, claim = facets(env), certificate.claim
    assert [(list(block.states), list(block.actions)) for block in claim.blocks] == [
        (Z, [0]),
        (X, [1]),
    ]
    assert [len(block.facets(H)) for block in claim.blocks] == [8, 12]
    assert np.all(H[:8][:, X] == 0)
    assert np.all(H[8:][:, Z] == 0)
    volume = np.prod([block.factor(claim.safe_state_set).volume() for block in claim.blocks])
    assert volume > 990
    assert certificate.metadata["volume"] == pytest.approx(volume, rel=1e-4)
    bounds = np.array([8, 8, np.pi / 12, 0.8, 1, np.pi / 2])
    np.testing.assert_allclose(claim.constraint_set.upper, bounds)
    assert np.all(np.abs(claim.safe_state_set.vertices()) <= bounds)


def test_the_shipped_set_is_proved(claim):
    result = prove(claim)
    assert result.proved
    assert result.margin >= claim.sigma
    assert result.cells < 20_000
    assert result.seconds < 10


def remade(claim, *, model=None, H=None, w=0.1):
    """The claim of a mutant, with its own rounding bounds."""
    H = claim.safe_state_set.H if H is None else H
    return Claim(
        model or dynamics.quadrotor(),
        safe_state_set=sw.Polytope(H, np.ones(len(H))),
        constraint_set=claim.constraint_set,
        disturbance_set=sw.Box.symmetric([w, w]),
        blocks=claim.blocks,
    )


def rolls_the_other_way():
    model = dynamics.quadrotor()

    def step(x, a, w):
        following, straight = model.step(x, a, w), model.step(x.at[2].set(0.0), a, w)
        turned = 2 * straight - following
        return following.at[3].set(turned[3]).at[0].set(turned[0])

    return dataclasses.replace(model, step=step)


@pytest.mark.parametrize(
    "model",
    [
        dynamics.quadrotor(thrust_range=0.9 * 6 / 7),
        dynamics.quadrotor(dt=0.06),
        dynamics.quadrotor(max_roll=0.9 * np.pi / 12),
        rolls_the_other_way(),
    ],
    ids=["thrust", "dt", "desired roll", "sign of the roll"],
)
def test_another_plant_is_rejected_by_a_true_counterexample(claim, model):
    assert_rejected(remade(claim, model=model))


@pytest.mark.parametrize("facet", [1, 2, 3, 8, 13])
def test_a_facet_moved_out_by_five_percent_is_rejected_by_a_true_counterexample(claim, facet):
    H = np.array(claim.safe_state_set.H)
    H[[facet, facet + (4 if facet < 8 else 6)]] /= 1.05
    assert_rejected(remade(claim, H=H))


def test_more_wind_is_rejected_by_a_true_counterexample(claim):
    assert_rejected(remade(claim, w=0.15))


def assert_rejected(claim):
    """The counterexample lies in S, and outside X or without any safe action on a fine grid, up to
    the grid's resolution.
    """
    result = prove(claim)
    assert result.status == "counterexample"
    x, H = result.counterexample, np.asarray(claim.safe_state_set.H, np.float64)
    assert np.all(H @ x <= 1)
    if np.any(np.abs(x) > np.asarray(claim.constraint_set.upper)):
        return
    assert result.margin < 0
    with jax.enable_x64():
        c, B, E = (np.asarray(part) for part in claim.model.affine(jnp.asarray(x)))
    grid = np.linspace(-1, 1, 101)
    actions = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    worst = H @ c + np.abs(H @ E) @ np.asarray(claim.disturbance_set.upper, np.float64)
    found = np.max(np.min(1 - worst - actions @ (H @ B).T, axis=1))
    assert found <= result.margin + 1e-7  # what is proved has float32 constants


def check_one_step(env, count, seed):
    """Smallest next margins over all vertices of W, in float64: of safeguarded random actions, and
    of the anchor.
    """
    system = env.system
    x = boundary_heavy_states(env, count, seed)
    rng = np.random.default_rng(seed)
    actions = np.clip(rng.uniform(-2, 2, (len(x), 2)), -1, 1).astype(np.float32)
    output = jax.jit(jax.vmap(lambda x, a: sw.safe_action(system, sw.BoundaryProjection(), x, a)))(
        x, actions
    )
    assert np.all(np.asarray(output.feasible))
    assert not np.any(np.asarray(output.fallback))
    assert np.any(np.asarray(output.intervened))
    assert np.all(np.abs(np.asarray(output.action)) <= 1)
    assert margins(facets(env), x).min() >= 0
    anchor = jax.jit(jax.vmap(lambda x: system.safe_action_set(x).anchor))(x)
    return worst_margins(facets(env), x, output.action).min(), worst_margins(
        facets(env), x, anchor
    ).min()


def test_one_step_from_the_boundary_never_leaves_the_set(env):
    executed, anchor = check_one_step(env, 100_000, 0)
    assert executed >= 2e-6  # eps >= 5e-6, less what float32 rounding takes
    assert anchor >= 1e-4  # half of sigma


@pytest.mark.slow
def test_a_million_steps_from_the_boundary_never_leave_the_set(env):
    results = np.array([check_one_step(env, 100_000, seed) for seed in range(10)])
    assert results.min(axis=0)[0] >= 2e-6
    assert results.min(axis=0)[1] >= 1e-4


def test_the_anchor_is_robust_block_by_block(env):
    """The thrust's midpoint satisfies the rows of (z, z_dot), and the roll's those of the other
    block whatever the thrust.
    """
    system = env.system
    x = boundary_heavy_states(env, 4000)
    action_set = jax.jit(jax.vmap(system.safe_action_set))(x)
    A, b, anchor = (
        np.asarray(part, np.float64) for part in (action_set.A, action_set.b, action_set.anchor)
    )
    assert np.all(A[:, :8, 1] == 0)
    slack = b - np.einsum("smd,sd->sm", A, anchor)
    assert slack[:, :8].min() > 1e-4 / 2
    for thrust in (-1.0, 1.0):
        swapped = np.stack([np.full(len(x), thrust), anchor[:, 1]], axis=1)
        assert np.min((b - np.einsum("smd,sd->sm", A, swapped))[:, 8:]) > 1e-4 / 2


def recorder(env):
    """A compiled rollout: keys (N,), actions (T, N, 2) -> states (T + 1, N, 6) and metrics (T,
    N).
    """
    x_of = jax.vmap(env.system.state)

    def step(state, action):
        following = jax.vmap(env.step)(state, action)
        return following, (x_of(following), following.metrics)

    @jax.jit
    def record(keys, actions):
        first = jax.vmap(env.reset)(keys)
        _, (x, metrics) = jax.lax.scan(step, first, actions)
        return jnp.concatenate([x_of(first)[None], x]), metrics

    return lambda *inputs: jax.tree.map(np.asarray, record(*inputs))


def corner_actions(seed, steps=200, count=256):
    """Corners of the action box, each side held for a random while."""
    rng = np.random.default_rng(seed)
    hold = (
        np.cumsum(rng.uniform(size=(steps, count, 2)) < rng.uniform(0.02, 1, (count, 2)), axis=0)
        % 2
    )
    return ((2.0 * hold - 1.0) * rng.choice([-1, 1], (count, 2))).astype(np.float32)


def test_the_raw_environment_leaves_the_set_and_says_so(env):
    x, metrics = recorder(env)(keys(0), corner_actions(0))
    left = margins(facets(env), x[1:]) < 0
    assert left.any(axis=0).mean() > 0.9
    # float32 against float64 next to the boundary
    assert np.mean(metrics["left_set_per_step"] != left) < 1e-4
    assert metrics["cost_per_step"].mean() > 0.1


def test_the_safeguarded_environment_never_leaves_the_set(guarded):
    """Whatever the agent sends, under the worst wind."""
    record = recorder(guarded)
    for scale in (1.0, 1e30, np.nan):
        x, metrics = record(keys(1), scale * corner_actions(1))
        assert margins(facets(guarded), x).min() >= 0
        for name in ("left_set", "infeasible", "fallback"):
            assert metrics[f"safeguard/{name}_per_step"].sum() == (
                metrics[f"safeguard/{name}_per_step"].size
                if np.isnan(scale) and name == "fallback"
                else 0
            )
        assert metrics["cost_per_step"].sum() == 0
        assert metrics["safeguard/intervention_per_step"].mean() > 0.05


def test_initial_states_are_uniform_in_the_product(env):
    """In a block of n dimensions gauge^n is uniform on [0, 1], and the two are independent."""
    x, H = (
        np.asarray(jax.jit(jax.vmap(env.system.sample_initial))(keys(0, 20_000)), np.float64),
        facets(env),
    )
    assert margins(H, x).min() > 0
    ranks = [
        (x @ H[rows].T).max(axis=1) ** size for rows, size in ((slice(8), 2), (slice(8, 20), 4))
    ]
    for rank in ranks:
        # A Kolmogorov-Smirnov distance of 0.015 has p < 1e-3.
        assert np.abs(np.sort(rank) - np.linspace(0, 1, len(rank))).max() < 0.015
    assert abs(np.corrcoef(*ranks)[0, 1]) < 0.03
    assert np.abs((x > 0).mean(axis=0) - 0.5).max() < 0.015


def test_reset_and_step_agree_in_structure(guarded):
    state = jax.eval_shape(guarded.reset, jax.random.PRNGKey(0))
    following = jax.eval_shape(guarded.step, state, jax.ShapeDtypeStruct((2,), jnp.float32))
    assert jax.tree.structure(state) == jax.tree.structure(following)
    for before, after in zip(jax.tree.leaves(state), jax.tree.leaves(following), strict=True):
        assert (before.shape, before.dtype, before.weak_type) == (
            after.shape,
            after.dtype,
            after.weak_type,
        )


@pytest.mark.slow
def test_the_goal_is_the_initial_position_and_stays(env):
    states = jax.jit(jax.vmap(env.reset))(keys(3, 16))
    x = np.asarray(jax.vmap(env.system.state)(states))
    np.testing.assert_array_equal(states.info["goal"], x[:, :2])
    assert len(np.unique(x[:, 0])) == 16  # renewed on reset
    np.testing.assert_array_equal(states.obs, np.pad(x, ((0, 0), (0, 2))))
    following = jax.jit(jax.vmap(env.step))(states, jnp.ones((16, 2)))
    np.testing.assert_array_equal(following.info["goal"], x[:, :2])
    np.testing.assert_array_equal(following.obs[:, 6:], x[:, :2] - following.obs[:, :2])


def test_a_far_goal_lies_on_the_other_side():
    states = jax.jit(jax.vmap(SafeQuadrotor(goal="far").reset))(keys(0, 64))
    position, goal = np.asarray(states.obs[:, :2]), np.asarray(states.info["goal"])
    assert np.all(np.abs(goal) == 6)
    assert np.all(goal * position < 0)
    np.testing.assert_array_equal(states.obs[:, 6:], goal - position)
    with pytest.raises(
        ValueError,
        match=r"`goal` is 'fat', but it must be one of 'start', 'far'. Did you mean 'far'\?",
    ):
        SafeQuadrotor(goal="fat")


def test_the_reward_is_that_of_the_task(env):
    x, action = jnp.array([1.0, 2.0, 0.1, 0.2, 0.3, 0.4]), jnp.array([0.5, -0.5])
    motion = 0.1**2 + 0.2**2 + 0.3**2 + 0.4**2
    expected = -(2.5 * 5.0 + 0.1 * motion + 0.002 * (9.81 + 3 / 7) ** 2 + 0.001 * (np.pi / 24) ** 2)
    assert env.reward(x, action, {"goal": jnp.array([-2.0, -2.0])}) == pytest.approx(
        expected, rel=1e-6
    )


def test_the_gradient_is_finite_where_an_episode_starts(guarded):
    """The distance to the goal is 0 there."""

    @jax.jit
    @jax.grad
    def gradient(inputs):
        state = guarded.env.reset_to(inputs["x"], jax.random.PRNGKey(0))
        start = guarded.env.reward(inputs["x"], inputs["action"], state.info)
        output = sw.safe_action(guarded.system, guarded.safeguard, inputs["x"], inputs["action"])
        return start + guarded.env.step(state, output.action).reward

    inside = guarded.system.sample_initial(jax.random.PRNGKey(5))
    for x, action in itertools.product((jnp.zeros(6), inside), ([0.0, 0.0], [1.0, -1.0])):
        gradients = gradient({"x": x, "action": jnp.array(action)})
        assert all(np.all(np.isfinite(g)) for g in gradients.values())
    at_rest = jax.grad(lambda x: guarded.env.reward(x, jnp.zeros(2), {"goal": jnp.zeros(2)}))(
        jnp.zeros(6)
    )
    np.testing.assert_array_equal(at_rest, 0)


def test_what_is_rendered_is_the_state(env):
    """The body stands where the model says, moves at its velocities, and leans to the side that its
    thrust pushes it to.
    """
    x = env.system.sample_initial(jax.random.PRNGKey(7)).at[2].set(0.2)
    state = jax.jit(env.reset_to)(x, jax.random.PRNGKey(0))
    rolled = jax.jit(env.step)(state, jnp.zeros(2))
    for pipeline_state in (state.pipeline_state, rolled.pipeline_state):
        pose, motion = pipeline_state.x, pipeline_state.xd
        pos, height, roll, vel, climb, rate = np.concatenate([pipeline_state.q, pipeline_state.qd])
        np.testing.assert_allclose(pose.pos, [[pos, 0, height]], atol=1e-6)
        np.testing.assert_allclose(
            brax.math.rotate(jnp.array([0.0, 0.0, 1.0]), pose.rot[0]),
            [np.sin(roll), 0, np.cos(roll)],
            atol=1e-6,
        )
        np.testing.assert_allclose(motion.vel, [[vel, 0, climb]], atol=1e-6)
        np.testing.assert_allclose(motion.ang, [[0, rate, 0]], atol=1e-6)
    pushed = env.model(x, jnp.ones(2), jnp.zeros(2)) - env.model(
        x.at[2].set(0.0), jnp.ones(2), jnp.zeros(2)
    )
    assert pushed[3] > 0
    assert env.sys.link_names == ["quadrotor"]
    assert env.sys.opt.timestep == pytest.approx(env.dt)


def test_it_is_registered_with_closed_form_physics_only():
    env = brax.envs.get_environment("safe_quadrotor")
    assert isinstance(env, SafeQuadrotor)
    assert env.dt == 0.05
    assert (env.observation_size, env.action_size) == (8, 2)
    assert jax.eval_shape(env.reset, jax.random.PRNGKey(0)).obs.shape == (8,)
    assert sw.envs.get_model("safe_quadrotor").state_size == 6
    with pytest.raises(ValueError, match=r"`backend` is .*, but it must be one of 'closed_form'"):
        SafeQuadrotor(backend="generalized")


@pytest.mark.slow
def test_the_synthesis_finds_the_shipped_set_again():
    """One search per block; for the climb what every roll allows, and for the other block |sin
    roll|, which makes it symmetric.
    """

    def climb(x, a, w):
        speed = x[1] + 0.05 * (0.493 * a[0] + w[0])
        return jnp.stack([x[0] + 0.05 * speed, speed])

    def sideways(x, a, w):
        pos, roll, vel, rate = x
        vel = vel + 0.05 * (
            9.81 * jnp.sin(roll) + 6 / 7 * jnp.sqrt(jnp.sin(roll) ** 2 + 1e-6) * w[0] + w[1]
        )
        rate = rate + 0.05 * (55 * np.pi / 12 * a[0] - 70 * roll - 17 * rate)
        return jnp.stack([pos + 0.05 * vel, roll + 0.05 * rate, vel, rate])

    # Bounds of x, roll, roll_dot and x_dot, x_dot before a turn, and x before braking.
    guess = np.array(
        [
            [1 / 7.99, 0, 0, 0],
            [0, 1 / 0.2617, 0, 0],
            [0, 0, 0, 1 / 1.57],
            [0, 0, 1 / 0.79, 0],
            [0, 1.5 / 0.78, 1 / 0.78, 0.01],
        ]
    )
    guess = np.concatenate([guess, [[1 / 8, 1.25 / 8, 0.57 / 8, 0.01 / 8]]])
    z_model, x_model = sw.Model("climb", climb, 2, 1, 1), sw.Model("sideways", sideways, 4, 1, 2)
    z_box, x_box = sw.Box.symmetric([8.0, 1.0]), sw.Box.symmetric([8.0, np.pi / 12, 0.8, np.pi / 2])
    start = sw.Polytope(np.concatenate([guess, -guess]), np.ones(12))
    z = synthesise(
        z_model, z_box, sw.Box.symmetric([0.1]), facets=8, disturbance_scale=1.1, progress=False
    )
    x = synthesise(
        x_model,
        x_box,
        sw.Box.symmetric([1.0, 0.1]),
        facets=12,
        disturbance_scale=1.05,
        margin=1.2e-3,
        warm_start=start,
        progress=False,
    )
    assert z.volume * x.volume > 985
    H = np.zeros((20, 6))
    H[:8, Z], H[8:, X] = z.safe_state_set.H, x.safe_state_set.H
    assert prove(remade(load_certificate("safe_quadrotor", "wide").claim, H=H)).proved
