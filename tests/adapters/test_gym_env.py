import copy
import pickle

import gymnasium
import jax
import numpy as np
import pytest
from brax.envs.wrappers.training import EpisodeWrapper
from gymnasium.utils.env_checker import check_env
from helpers import facets, margins
from params import quick
from third_party import Integrator, IntegratorSystem, Outside

import safe_wrappers as sw
from safe_wrappers.envs import SafeGymEnv, SafePendulum

NAMES = ("Pendulum", "CartPole", "Quadrotor", "Seeker", "Arm", "Quadrotor3D")
IDS = tuple(f"SafeWrappers/{name}-v0" for name in NAMES)
# These stand for the others in the quick tests.
SOME = quick([IDS[0], "SafeWrappers/CartPole-v0", "SafeWrappers/Arm-v0"], IDS)
NARROW = {"safe_set": "narrow"}


@pytest.fixture(scope="module")
def env():
    return gymnasium.make(IDS[0], **NARROW, disturbance="worst_case")


def states(env, requests, seed=0):
    """The states of one episode, shape (steps + 1, n), in float64, and its infos."""
    infos = [env.reset(seed=seed)[1]] + [env.step(request)[-1] for request in requests]
    return np.array([info["state"] for info in infos], np.float64), infos


@pytest.mark.smoke
def test_an_episode_stays_in_the_safe_set(env):
    """Bang-bang requests under worst-case disturbances, counted in float64; the raw environment
    leaves the set at once.
    """
    H = facets(SafePendulum(safe_set="narrow"))
    requests = np.repeat(np.random.default_rng(0).choice([-1.0, 1.0], (24, 1)), 10, axis=0)
    x, infos = states(env, requests)
    assert (margins(H, x) >= 0).all()
    assert 0.1 < np.mean([info["safeguard"]["intervened"] for info in infos]) < 1
    raw = gymnasium.make(IDS[0], **NARROW, disturbance="worst_case", safeguard=None)
    x, infos = states(raw, requests)
    assert (margins(H, x)[20:] < 0).mean() > 0.9
    assert sum(info["cost"] for info in infos) > 200
    assert "safeguard" not in infos[0]


@pytest.mark.parametrize("id", SOME)
def test_gymnasiums_own_checker_has_no_complaints(id):
    """Any warning is an error in this suite."""
    env = gymnasium.make(id, render_mode="rgb_array")
    check_env(env.unwrapped)
    frame = env.unwrapped.render()
    assert (frame.shape, frame.dtype) == ((400, 400, 3), np.uint8)
    assert len(np.unique(frame.reshape(-1, 3), axis=0)) > 20
    assert env.spec.max_episode_steps == 240
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.spec == env.spec


@pytest.mark.parametrize("id", SOME)
def test_observations_of_states_in_the_safe_set_are_in_the_space(id):
    env = gymnasium.make(id).unwrapped
    space = env.observation_space
    assert space.dtype == np.float32
    assert np.isfinite(space.high).all()
    assert all(env.reset(seed=seed)[0] in space for seed in range(100))
    assert all(env.step(env.action_space.sample())[0] in space for _ in range(100))
    assert np.isinf(gymnasium.make(id, safeguard=None).observation_space.high).all()


def test_the_bounds_are_those_of_the_safe_set():
    high = gymnasium.make(IDS[0], **NARROW).observation_space.high
    vertices = SafePendulum(safe_set="narrow").system.safe_state_set.vertices()
    np.testing.assert_allclose(
        high, [1, 1, np.abs(vertices[:, 1]).max(), np.abs(vertices[:, 0]).max()], rtol=2e-5
    )


def test_the_info_of_reset_and_step(env):
    _, before = env.reset(seed=0)
    _, reward, terminated, truncated, after = env.step(np.array([0.3], np.float32))
    assert jax.tree.structure(before) == jax.tree.structure(after)
    assert {"safeguard", "cost", "margin", "state", "disturbance", "task_reward"} <= set(after)
    assert {
        "requested",
        "action",
        "intervened",
        "changed",
        "distance",
        "feasible",
        "fallback",
        "margin",
        "inside",
    } <= set(after["safeguard"])
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert type(a) is type(b)
        assert isinstance(a, np.ndarray | np.float32)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
    assert type(reward) is float
    assert terminated is False
    assert truncated is False


def test_an_episode_ends_by_the_time_limit(env):
    env.reset(seed=0)
    ends = [env.step(np.zeros(1))[2:4] for _ in range(240)]
    assert ends == [(False, False)] * 239 + [(False, True)]


def test_seeding(env):
    first, second, again, next_again, other = (
        env.reset(seed=seed)[0] for seed in (3, None, 3, None, 4)
    )
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(second, next_again)
    assert (first != second).any()
    assert (first != other).any()


@pytest.mark.parametrize(("bad", "fallback"), [(np.nan, 1), (-np.inf, 1), (1e300, 1), (9.0, 0)])
def test_any_request_of_the_right_shape_gets_a_safe_action_and_a_flag(env, bad, fallback):
    """At a state where the full torque is safe, so that nothing but the request itself is a reason
    to intervene.
    """
    x = [-0.4, -2.0]
    env.reset(seed=0, options={"x": x})
    assert env.step([1.0])[-1]["safeguard"]["intervened"] == 0
    env.reset(seed=0, options={"x": x})
    _, _, _, _, info = env.unwrapped.step([bad])
    guard = info["safeguard"]
    assert guard["intervened"] == guard["changed"] == guard["inside"] == 1
    assert guard["fallback"] == fallback
    assert abs(guard["action"][0]) <= 1


@pytest.mark.parametrize("action", [0.5, [], [0.5, 0.5], [[0.5]]])
def test_actions_of_another_shape_are_refused_before_anything_happens(env, action):
    env.reset(seed=0)
    expected = env.step([0.1])[-1]["state"]
    env.reset(seed=0)
    with pytest.raises(
        sw.SetDimensionError, match=r"The action must have shape \(1,\), but its shape is"
    ):
        env.unwrapped.step(action)
    np.testing.assert_array_equal(env.step([0.1])[-1]["state"], expected)


def test_the_raw_environment_keeps_its_actuators_limits():
    raw = gymnasium.make(IDS[0], **NARROW, safeguard=None, disturbance="none").unwrapped
    after = []
    for action in (1.0, 5.0):
        raw.reset(seed=0, options={"x": [0.0, 0.0]})
        after.append(raw.step([action])[-1]["state"])
    np.testing.assert_array_equal(*after)
    assert after[0][1] == pytest.approx(4.5)


def test_chosen_starts(env):
    _, info = env.reset(options={"x": [0.4, -0.5]})
    np.testing.assert_array_equal(info["state"], np.float32([0.4, -0.5]))
    for outside in ([0.6, 0.0], [np.nan, 0.0]):
        with pytest.raises(
            ValueError,
            match=r"`options\['x'\]` must lie in the safe set, where the guarantee holds, "
            r"but \[.*\] does not",
        ):
            env.reset(options={"x": outside})
    with pytest.raises(
        sw.SetDimensionError,
        match=r"`options\['x'\]` must have shape \(2,\), but its shape is \(3,\)",
    ):
        env.reset(options={"x": [0.0, 0.0, 0.0]})


def test_chosen_starts_are_judged_by_the_system_that_safeguards():
    """The pendulum's own set is the larger one; and an environment that knows nothing of sets can
    be started, too.
    """
    env = sw.GymEnv(
        sw.SafeguardWrapper(
            SafePendulum(), sw.BoundaryProjection(), system=SafePendulum(safe_set="narrow").system
        )
    )
    with pytest.raises(ValueError, match="must lie in the safe set"):
        env.reset(options={"x": [2.0, 0.0]})
    env = sw.GymEnv(
        third_party(
            reset_to=lambda x, key: Integrator().reset(key).replace(pipeline_state=x, obs=x)
        )
    )
    assert env.reset(options={"x": [0.5]})[1]["state"] == 0.5
    with pytest.raises(
        ValueError, match="`Integrator` cannot be put into a given state; give `SafeguardWrapper"
    ):
        sw.GymEnv(third_party()).reset(options={"x": [0.5]})


def third_party(plant=Integrator, **options):
    return sw.SafeguardWrapper(
        plant(), sw.BoundaryProjection(), system=IntegratorSystem(), **options
    )


def test_a_third_party_environment_needs_no_more_than_the_wrapper():
    """No `dt`, no `reset_to`; and one that never starts in the safe set is an error, not an
    episode.
    """
    env = sw.GymEnv(third_party())
    env.reset(seed=0)
    infos = [env.step([1.0])[-1] for _ in range(4)]
    assert all(info["safeguard"]["inside"] == 1 for info in infos)
    assert infos[-1]["safeguard"]["intervened"] == 1
    with pytest.raises(
        sw.CertificateError,
        match=r"must start in the safe set, but 100 resets gave states like \[3\.0\]",
    ):
        sw.GymEnv(third_party(Outside)).reset(seed=0)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: EpisodeWrapper(third_party(), 3, 1),
            sw.WrapperOrderError,
            "must be without wrappers of Brax.*but it is a `EpisodeWrapper`",
        ),
        (
            lambda: gymnasium.make("Pendulum-v1"),
            TypeError,
            "`env` must be a `brax.envs.Env`.*but it is a",
        ),
        (
            Integrator,
            sw.CertificateError,
            r"`Integrator` has no `system`; write `SafeguardWrapper\(env, safeguard, system=...\)`",
        ),
        (
            lambda: third_party(type("Parts", (Integrator,), {"observation_size": {"a": 1}})),
            TypeError,
            "must be vectors",
        ),
    ],
    ids=["Brax's wrapper", "Gymnasium", "no system", "dictionary"],
)
def test_what_is_no_single_brax_environment_is_refused(make, error, message):
    for adapter in (sw.GymEnv, sw.GymVectorEnv):
        with pytest.raises(error, match=message):
            adapter(make())


def test_there_is_nothing_to_draw_before_the_first_reset():
    for env in (
        gymnasium.make(IDS[0], render_mode="rgb_array").unwrapped,
        gymnasium.make_vec(IDS[0], num_envs=2, render_mode="rgb_array"),
    ):
        with pytest.raises(gymnasium.error.ResetNeeded, match="before the first `render`"):
            env.render()


def test_layouts_that_the_lemma_does_not_cover_are_refused():
    seeker = gymnasium.make(IDS[3])
    _, info = seeker.reset(seed=0)
    seeker.reset(options={"x": info["state"]})
    # a gap of 0.4 m, and a negative radius
    for obstacles in ([0.0, 3.0, 2.0, 0.0, -1.4, 2.0], [-4.0, 0.0, -1.0, 4.0, 0.0, 2.0]):
        with pytest.raises(ValueError, match="must lie in the safe set"):
            seeker.reset(options={"x": [-6.0, 6.0, *obstacles]})


def test_options_reach_the_environment_and_the_safeguard():
    env = gymnasium.make(
        IDS[0],
        safe_set="narrow",
        target_angle=0.8,
        safeguard="ray_mask",
        safeguard_kwargs={"mapping": "linear"},
        regularisation=0.1,
    ).unwrapped
    assert isinstance(env.env, sw.SafeguardWrapper)
    assert (env.env.safeguard.mapping, env.env.regularisation, env.env.env.target_angle) == (
        "linear",
        0.1,
        0.8,
    )
    env.reset(seed=0, options={"x": [0.45, 0.0]})
    _, reward, _, _, info = env.step([1.0])
    gap = info["safeguard"]["distance"]
    assert gap > 0.1
    assert reward == pytest.approx(info["task_reward"] - 0.1 * gap**2, rel=1e-5)


def test_unknown_options_are_refused_with_the_valid_ones():
    for options, message in [
        ({"safe_st": "narrow"}, "Did you mean 'safe_set'"),
        ({"safe_set": "narow"}, "Did you mean 'narrow'"),
        (
            {"safeguard": "boundary"},
            r"`safeguard` is .*, but it must be one of 'boundary_projection'",
        ),
        ({"safeguard": None, "regularisation": 0.1}, "need a safeguard, but `safeguard` is None"),
    ]:
        with pytest.raises(ValueError, match=message):
            gymnasium.make(IDS[0], **options)
    with pytest.raises(
        ValueError, match=r"`render_mode` is 'ansi', but it must be one of 'rgb_array'"
    ):
        SafeGymEnv("safe_pendulum", render_mode="ansi")


def test_environments_that_are_equal_share_their_compilation():
    first, second = (gymnasium.make(IDS[0], **NARROW).unwrapped for _ in range(2))
    assert first.env is second.env
    assert first.env is not gymnasium.make(IDS[0]).unwrapped.env


def test_copies_and_pickles(env):
    for other in (copy.deepcopy(env.unwrapped), pickle.loads(pickle.dumps(env.unwrapped))):
        np.testing.assert_array_equal(other.reset(seed=5)[0], env.unwrapped.reset(seed=5)[0])


def test_the_picture_shows_what_happened():
    """The rod is drawn in blue, in orange after an intervention, in red outside the safe set."""
    raw = gymnasium.make(IDS[0], **NARROW, safeguard=None, render_mode="rgb_array").unwrapped
    guarded = gymnasium.make(IDS[0], **NARROW, render_mode="rgb_array").unwrapped

    def color(env, action):
        env.reset(seed=0, options={"x": [0.45, 0.0]})
        th = env.step([action])[-1]["state"][0]
        scale = 200 / 1.35
        pixel = env.render()[
            int(200 - 0.8 * scale * np.cos(th)), int(200 + 0.8 * scale * np.sin(th))
        ]
        return tuple(int(channel) for channel in pixel)

    assert color(guarded, -0.2) == (0x1F, 0x5F, 0xA8)
    assert color(guarded, 1.0) == (0xD9, 0x82, 0x2B)
    assert color(raw, 1.0) == (0xC0, 0x26, 0x2D)


def test_a_user_environment_needs_no_more_than_the_wrapper():
    env = sw.GymEnv(sw.SafeguardWrapper(SafePendulum(safe_set="narrow"), sw.BoundaryProjection()))
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step([0.0])
    observation, _ = env.reset(seed=0)
    assert observation.shape == (4,)
    assert env.render() is None
    with pytest.raises(ValueError, match="needs a function `draw"):
        sw.GymEnv(env.env, render_mode="rgb_array")


@pytest.mark.parametrize("name", ["env", "array", "draw", "render_mode", "action_space"])
@pytest.mark.parametrize("make", [sw.GymEnv, sw.GymVectorEnv])
def test_what_compiled_programs_hold_cannot_be_changed(make, name):
    env = make(SafePendulum())
    with pytest.raises(AttributeError, match=f"`{name}` of a `{make.__name__}` cannot be changed"):
        setattr(env, name, None)
