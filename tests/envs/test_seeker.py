import functools

import brax.envs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import keys
from params import slow

import safe_wrappers as sw
from safe_wrappers.envs import SafeSeeker, seeker
from safe_wrappers.envs._detour import shorter_way

KINDS = ("random", "bang_bang", "goal", "obstacle")
SAFEGUARDS = {
    **{name: sw.safeguards.make_safeguard(name) for name in sw.safeguards.NAMES},
    "orthogonal_ray_mask": sw.RayMask(center="orthogonal"),
}
ENVS, STEPS = 256, 200
NOISE = float(np.float32(0.05))

x_of = SafeSeeker().system.state


def clearances(x):
    """Distances to the two obstacles and the nearest wall in float64; x (..., 8) -> (..., 3)."""
    x = np.asarray(x, np.float64)
    position = x[..., :2]
    to = [np.linalg.norm(position - x[..., i : i + 2], axis=-1) - x[..., i + 2] for i in (2, 5)]
    return np.stack([*to, 8 - np.abs(position).max(axis=-1)], axis=-1)


def worst_clearance(x, action):
    """The least clearance of the next state over all of W, in float64: the box p + 0.1 a + W
    against circles and walls. Shape (...).
    """
    x, action = np.asarray(x, np.float64), np.asarray(action, np.float64)
    nominal = x[..., :2] + 0.1 * action
    values = [8 - NOISE - np.abs(nominal).max(axis=-1)]
    for i in (2, 5):
        centre, radius = x[..., i : i + 2], x[..., i + 2]
        values.append(
            np.linalg.norm(centre - nominal - np.clip(centre - nominal, -NOISE, NOISE), axis=-1)
            - radius
        )
    return np.min(values, axis=0)


@functools.cache
def rollout(safeguard):
    """Keys (N,), requests (T, N, 2) and a kind -> states (T + 1, N, 8), executed actions (T, N, 2),
    infos, metrics; compiled once per safeguard.
    """
    env = SafeSeeker(disturbance="worst_case")
    guard = SAFEGUARDS.get(safeguard)
    guarded = env if guard is None else sw.SafeguardWrapper(env, guard)

    def step(carry, request):
        state, kind = carry
        position, obstacles = seeker.split(x_of(state))
        nearest = obstacles[jnp.argmin(seeker.clearances(position, obstacles)[:-1]), :2]
        towards = jnp.stack([request, request, state.info["goal"] - position, nearest - position])[
            kind
        ]
        action = jnp.where(
            kind < 2,
            towards,
            2 * towards / jnp.maximum(jnp.max(jnp.abs(towards)), 0.1) + 0.1 * request,
        )
        after = guarded.step(state, action)
        executed = after.info["safeguard"]["action"] if guard else action
        return (after, kind), (x_of(state), executed, after.info, after.metrics)

    def one(key, requests, kind):
        (last, _), (x, action, info, metrics) = jax.lax.scan(
            step, (guarded.reset(key), kind), requests
        )
        return jnp.concatenate([x, x_of(last)[None]]), action, info, metrics

    run = jax.jit(jax.vmap(one, in_axes=(0, 1, None), out_axes=1))
    return lambda keys, requests, kind: jax.tree.map(np.asarray, run(keys, requests, kind))


def requests(kind, seed):
    rng = np.random.default_rng(seed)
    if kind != "bang_bang":
        return rng.uniform(-1.5, 1.5, (STEPS, ENVS, 2)).astype(np.float32)
    switched = (
        np.cumsum(rng.uniform(size=(STEPS, ENVS, 2)) < rng.uniform(0.02, 1, (ENVS, 2)), axis=0) % 2
    )
    return np.where(switched, 1, -1).astype(np.float32)


def soak(safeguard, kind, seed=0):
    """(collisions of the states that were reached, steps that some w would have turned into one,
    least clearance), float64.
    """
    x, action, info, metrics = rollout(safeguard)(
        keys(seed), requests(kind, seed), KINDS.index(kind)
    )
    assert x.dtype == action.dtype == np.float32
    reached, worst = clearances(x).min(axis=-1), worst_clearance(x[:-1], action)
    np.testing.assert_array_equal(x[1:, :, 2:], x[:-1, :, 2:])  # the layout stays
    np.testing.assert_allclose(info["margin"], reached[1:] / 8, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(metrics["left_set_per_step"], info["margin"] < 0)
    np.testing.assert_array_equal(info["cost"], info["margin"] < 0)
    if safeguard != "none":
        assert np.all(np.abs(action) <= 1)
        assert not metrics["safeguard/infeasible_per_step"].any()
        assert not metrics["safeguard/fallback_per_step"].any()
    return int(np.sum(reached < 0)), int(np.sum(worst < 0)), min(reached.min(), worst.min())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("safeguard", ["boundary_projection", "ray_mask"])
def test_no_collision_in_50_000_steps(safeguard, kind):
    collisions, possible, least = soak(safeguard, kind)
    assert collisions == possible == 0
    # the boundary was reached: up to the allowance, no closer
    assert 0 < least < 2e-4 or kind == "random"


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_without_the_safeguard_collides(kind):
    assert soak("none", kind)[0] > 1000


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("safeguard", SAFEGUARDS)
def test_no_collision_in_a_million_steps(safeguard, kind):
    results = [soak(safeguard, kind, seed) for seed in range(1, 21)]
    assert len(results) * STEPS * ENVS > 1_000_000
    assert sum(collisions + possible for collisions, possible, _ in results) == 0
    print(
        f"{safeguard} {kind}: {len(results) * STEPS * ENVS} steps, 0 collisions, least clearance "
        f"{min(least for _, _, least in results):.3g} m"
    )


@pytest.fixture(scope="module")
def env():
    return SafeSeeker(disturbance="none")


@pytest.fixture(scope="module")
def starts(env):
    """States and goals of 5000 resets, float64."""
    state = jax.jit(jax.vmap(env.reset))(keys(0, 5000))
    x = jax.vmap(x_of)(state)
    assert x.dtype == jnp.float32
    return np.asarray(x, np.float64), np.asarray(state.info["goal"], np.float64)


def hard_states(x, seed=0, outside=1e-6):
    """Positions where the rows bind: at each obstacle, where the gap between the two is least, at
    walls and in corners. Float32, safe.
    """
    rng, x = np.random.default_rng(seed), np.array(x, np.float64)
    n = len(x) // 5
    angle = rng.uniform(-np.pi, np.pi, len(x))
    # along axes and diagonals, too
    angle[: len(x) // 2] = np.round(angle[: len(x) // 2] * 4 / np.pi) * np.pi / 4
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for part, i in ((slice(0, n), 2), (slice(n, 2 * n), 5)):
        x[part, :2] = x[part, i : i + 2] + (x[part, i + 2 : i + 3] + outside) * direction[part]
    part = slice(2 * n, 3 * n)
    line = x[part, 5:7] - x[part, 2:4]
    line /= np.linalg.norm(line, axis=1)[:, None]
    x[part, :2] = x[part, 2:4] + line * (x[part, 4:5] + outside)
    x[3 * n : 4 * n, 0] = 8 - outside
    x[4 * n :, :2] = rng.choice([-1, 1], x[4 * n :, :2].shape) * (
        8 - outside - rng.choice([0, 0.1], x[4 * n :, :2].shape)
    )
    x = x.astype(np.float32)
    return x[clearances(x).min(axis=1) >= 0]


def tight_layouts(count, seed=0):
    """Pairs of obstacles with exactly the gaps that the lemma asks for, 2 REACH: to each other and
    to two walls each. Shape (count, 8).
    """
    rng = np.random.default_rng(seed)
    gap = 2 * seeker.REACH
    first = rng.uniform(2, 4, count)
    corner = -8 + gap + first  # of the first obstacle, near the corner (-8, -8)
    # The second lies on the diagonal at the right distance, and as large as the walls allow: c = 8
    # - gap - r and sqrt(2) (c - corner) = first + r + gap.
    second = (np.sqrt(2) * (8 - gap - corner) - first - gap) / (1 + np.sqrt(2))
    centre = 8 - gap - second
    zeros = np.zeros(count)
    return np.stack([zeros, zeros, corner, corner, first, centre, centre, second], axis=1)


def test_layouts_keep_their_gaps_and_are_fresh(starts):
    x, _ = starts
    assert len(np.unique(x[:, :2], axis=0)) == len(np.unique(x[:, 2:], axis=0)) == len(x)
    radii = x[:, [4, 7]]
    assert radii.min() >= 2
    assert radii.max() <= 4
    assert np.ptp(radii) > 1.8
    between = np.linalg.norm(x[:, 2:4] - x[:, 5:7], axis=1) - radii.sum(axis=1)
    to_walls = 8 - np.maximum(
        np.abs(x[:, 2:4]).max(axis=1) + radii[:, 0], np.abs(x[:, 5:7]).max(axis=1) + radii[:, 1]
    )
    assert between.min() >= 1 - 1e-5
    assert to_walls.min() >= 1 - 1e-5
    found = np.asarray(
        jax.vmap(lambda x: jnp.min(seeker.gaps(seeker.split(x)[1])))(x.astype(np.float32))
    )
    np.testing.assert_allclose(found, np.minimum(between, to_walls), atol=1e-5)


def test_starts_and_goals_are_clear_with_an_obstacle_between_them(starts):
    x, goals = starts
    assert clearances(x).min() >= 0.5 - 1e-5
    assert clearances(np.concatenate([goals, x[:, 2:]], axis=1)).min() >= 0.5 - 1e-5
    along = np.linspace(0, 1, 400)[:, None, None]
    way = x[:, :2] + along * (goals - x[:, :2])
    layout = np.broadcast_to(x[:, 2:], (*way.shape[:2], 6))
    blocked = clearances(np.concatenate([way, layout], axis=-1)).min(axis=(0, 2)) < 0
    assert blocked.mean() > 0.995  # the rest are grazed between two sample points
    assert np.abs(goals.mean(axis=0)).max() < 0.3


def test_a_goal_is_in_the_clear_even_where_none_lies_behind_an_obstacle():
    """A circle that cuts off the far corner: whatever lies behind it lies in it."""
    x = jnp.array([-7.5, -7.5, *[8.0, 8.0, 14.0] * 2])
    goals = jax.jit(jax.vmap(lambda key: seeker._draw_goal(key, x)))(keys(0, 200))
    clear = clearances(np.concatenate([goals, np.broadcast_to(x[2:], (200, 6))], axis=1))
    assert clear.min() >= 0.5 - 1e-5


@pytest.mark.smoke
def test_the_lemma_holds_for_its_constants_and_not_for_others():
    slack = seeker.certified_slack()
    assert slack == pytest.approx(0.25 - np.sqrt(2) * 0.15 - 1e-4 - 1e-5, abs=1e-6)
    assert SafeSeeker().slack == slack
    assert f"{slack:.4f} m" in SafeSeeker().guarantee.by
    for wrong in (
        {"gap": 0.49},
        {"noise": 0.1},
        {"step": 0.13},
        {"reach": 0.2},
        {"reach": 0.51},
        {"allowance": 0.05},
    ):
        with pytest.raises(
            sw.CertificateError, match="Safe actions are certified for gaps of at least"
        ):
            seeker.certified_slack(**wrong)


def test_the_anchor_is_safe_by_the_certified_slack(env, starts):
    """Where rows bind, of drawn layouts and of the tightest ones that the lemma covers, against
    every w, in float64.
    """
    tight = tight_layouts(5000)
    assert 1.5 < tight[:, 7].min()
    x = np.concatenate(
        [
            hard_states(starts[0]),
            hard_states(tight),
            hard_states(starts[0], outside=0.2),
            starts[0].astype(np.float32),
        ]
    )
    assert len(x) > 15_000
    action_set = jax.jit(jax.vmap(env.system.safe_action_set))(x)
    action, A, b = (
        np.asarray(value, np.float64) for value in (action_set.anchor, action_set.A, action_set.b)
    )
    assert np.all(np.abs(action) <= 1)
    slack = (b - np.sum(A * action[:, None], axis=2)).min()
    assert seeker.certified_slack() - 1e-5 <= slack
    assert worst_clearance(x, action).min() >= seeker.certified_slack()
    output = jax.jit(
        jax.vmap(
            lambda x: sw.safe_action(
                env.system, sw.BoundaryProjection(), x, jnp.array([jnp.nan, 0.0])
            )
        )
    )(x)
    np.testing.assert_array_equal(output.action, action_set.anchor)
    assert np.all(output.feasible)


@pytest.mark.smoke
def test_what_the_rows_admit_is_safe_and_little_more_is(env, starts):
    """Any action that satisfies the rows leaves the allowance, less rounding; and where a row
    binds, the clearance is not much more.
    """
    x = np.concatenate([hard_states(starts[0]), hard_states(starts[0], outside=0.05)])
    action = np.random.default_rng(0).uniform(-1, 1, (len(x), 2)).astype(np.float32)
    action_set = jax.jit(jax.vmap(env.system.safe_action_set))(x)
    A, b = np.asarray(action_set.A, np.float64), np.asarray(action_set.b, np.float64)
    slack = (b - np.sum(A * action[:, None], axis=2)).min(axis=1)
    clearance = worst_clearance(x, action)
    assert (clearance - slack)[slack >= 0].min() > seeker.ALLOWANCE - seeker.ROUNDING
    # Of 0.1 m the half-space gives away at most the sagitta of the circle and the corner of W.
    assert (clearance - slack).max() < 0.02
    assert 0.2 < (slack >= 0).mean() < 0.8


def test_the_rows_in_float32_are_those_of_float64_within_the_rounding(env, starts):
    x = np.concatenate([hard_states(starts[0]), starts[0].astype(np.float32)])
    single = jax.jit(jax.vmap(seeker.rows))(x)
    with jax.enable_x64():
        double = jax.jit(jax.vmap(seeker.rows))(x.astype(np.float64))
    A, b = (
        np.abs(np.asarray(one, np.float64) - np.asarray(two))
        for one, two in zip(single, double, strict=True)
    )
    assert (A.sum(axis=2) + b).max() < seeker.ROUNDING / 2


def test_one_step_is_that_of_the_task():
    own = SafeSeeker(disturbance=lambda key, x, a: jnp.array([0.03, -0.05]))
    x = np.array([1.0, -2.0, -4.0, 0.5, 2.5, 3.0, 3.0, 2.25], np.float32)
    state = own.reset_to(x, jax.random.PRNGKey(0))
    goal = np.asarray(state.info["goal"])
    after = jax.jit(own.step)(state, jnp.array([0.5, -1.0]))
    position = [1.08, -2.15]
    np.testing.assert_allclose(x_of(after), [*position, *x[2:]], rtol=1e-6)
    np.testing.assert_array_equal(after.info["goal"], goal)
    expected = [
        *position,
        *(goal - position),
        *(x[2:4] - position),
        2.5,
        *(x[5:7] - position),
        2.25,
    ]
    berth = x[2:].reshape(2, 3) + np.float32([0, 0, 0.1])
    way = shorter_way(jnp.array(position), jnp.asarray(goal), jnp.asarray(berth))
    expected += [*way.heading, way.length]
    np.testing.assert_allclose(after.obs, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        after.reward, -(np.linalg.norm(goal - position) + 0.01 * 1.25), rtol=1e-5
    )
    np.testing.assert_allclose(after.info["margin"], clearances(x_of(after)).min() / 8, rtol=1e-5)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert own.observation_size == len(after.obs)
    assert own.sys is None


def test_the_worst_case_is_the_worst_of_w(starts):
    worst = SafeSeeker(disturbance="worst_case")
    x = hard_states(starts[0])
    action = np.random.default_rng(0).uniform(-1, 1, (len(x), 2)).astype(np.float32)
    after = jax.jit(jax.vmap(lambda x, a, key: worst.step(worst.reset_to(x, key), a)))(
        x, action, keys(0, len(x))
    )
    np.testing.assert_allclose(
        clearances(jax.vmap(x_of)(after)).min(axis=1), worst_clearance(x, action), atol=1e-5
    )
    assert np.abs(after.info["disturbance"]).max() <= np.float32(0.05)


@pytest.mark.parametrize("safeguard", ["boundary_projection", *slow("ray_mask")])
def test_gradients_match_finite_differences(starts, safeguard):
    """Through the safeguard, its rows and the reward, w.r.t. action and position; float64, off the
    kinks of the piecewise map.
    """
    guarded = sw.SafeguardWrapper(SafeSeeker(disturbance="none"), SAFEGUARDS[safeguard])
    rng = np.random.default_rng(1)
    with jax.enable_x64():
        x = hard_states(starts[0], outside=0.02)[::25].astype(np.float64)
        x[:, :2] += rng.uniform(-0.01, 0.01, (len(x), 2))  # |n|_1 has a kink on the axes
        action = rng.uniform(-1, 1, (len(x), 2))

        def reward(both, x):
            state = guarded.env.reset_to(jnp.concatenate([both[:2], x[2:]]), jax.random.PRNGKey(0))
            state = state.replace(info={**state.info, "goal": jnp.array([1.0, 2.0])})
            output = sw.safe_action(
                guarded.system, guarded.safeguard, guarded.system.state(state), both[2:]
            )
            return guarded.env.step(state, output.action).reward, output.intervened

        both = np.concatenate([x[:, :2], action], axis=1)
        gradient, intervened = jax.jit(jax.vmap(jax.grad(reward, has_aux=True)))(both, x)
        value = jax.jit(jax.vmap(lambda both, x: reward(both, x)[0]))
        h, columns = 1e-6, []
        for direction in np.eye(4):
            forward, backward, here = (
                value(both + h * direction, x),
                value(both - h * direction, x),
                value(both, x),
            )
            columns.append(np.stack([(forward - here) / h, (here - backward) / h]))
        numeric = np.stack(columns, axis=-1)
        # both one-sided differences agree: no kink in between
        smooth = np.abs(numeric[0] - numeric[1]).max(axis=1) < 1e-4
    assert smooth.mean() > 0.9
    assert 0.2 < np.asarray(intervened)[smooth].mean() < 0.9
    np.testing.assert_allclose(
        np.asarray(gradient)[smooth], numeric.mean(axis=0)[smooth], rtol=0, atol=1e-4
    )


def test_gradients_are_finite_everywhere(env):
    """At the goal, at an obstacle's centre, on top of each other."""
    guarded = sw.SafeguardWrapper(env, sw.BoundaryProjection())

    def reward(x, a):
        state = guarded.reset_to(x, jax.random.PRNGKey(0))
        state = state.replace(info={**state.info, "goal": jnp.array([3.0, 3.0])})
        return guarded.step(state, a).reward

    layout = [-3.0, -3.0, 2.0, 3.0, 3.0, 2.0]
    x = jnp.array([[3.0, 3.0, *layout], [-3.0, -3.0, *layout], [0.0, 0.0, *layout], [0.0] * 8])
    for leaf in jax.jit(jax.vmap(jax.grad(reward, (0, 1))))(x, jnp.zeros((4, 2))):
        assert np.isfinite(leaf).all()


@pytest.mark.slow
def test_going_straight_for_the_goal_mostly_reaches_it():
    """Boundary projection slides along the obstacles: no learning needed to see that the goals can
    be reached.
    """
    env = SafeSeeker()
    guarded = sw.SafeguardWrapper(env, sw.BoundaryProjection())

    def episode(key):
        def step(state, _):
            towards = state.obs[2:4]
            return guarded.step(state, towards / jnp.maximum(jnp.max(jnp.abs(towards)), 0.1)), None

        state, _ = jax.lax.scan(step, guarded.reset(key), length=240)
        return jnp.linalg.norm(state.obs[2:4])

    assert (np.asarray(jax.jit(jax.vmap(episode))(keys(0, 128))) < 0.5).mean() > 0.9


def test_it_is_registered_and_brax_can_batch_it():
    assert isinstance(brax.envs.get_environment("safe_seeker"), SafeSeeker)
    assert isinstance(sw.envs.get_environment("safe_seeker", disturbance="worst_case"), SafeSeeker)
    assert sw.envs.get_model("safe_seeker").state_size == 8
    assert sw.envs.certificate_names("safe_seeker") == ()
    batched = brax.envs.create("safe_seeker", episode_length=10, batch_size=4)
    state = jax.eval_shape(batched.reset, jax.random.PRNGKey(0))
    assert jax.eval_shape(batched.step, state, jnp.zeros((4, 2))).obs.shape == (4, 13)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"backend": "generalized"},
            "`backend` is 'generalized', but it must be one of 'closed_form'",
        ),
        (
            {"disturbance": "worst"},
            r"`disturbance` is 'worst', but it must be one of 'uniform', 'none', 'worst_case'.* "
            r"Did you mean 'worst_case'\?",
        ),
        (
            {"initial_states": "generators"},
            "`initial_states` is 'generators', but it must be one of 'uniform'",
        ),
        ({"safe_set": "wide"}, "got an unexpected keyword argument 'safe_set'; its options are"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sw.envs.get_environment("safe_seeker", **options)
