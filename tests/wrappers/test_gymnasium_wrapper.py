import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from helpers import facets, margins, states_in
from pendulum_v1 import MODEL, set_state, system
from third_party import IntegratorSystem

import safe_wrappers as sw


def wrapped(**options):
    return sw.GymSafeguardWrapper(
        gymnasium.make("Pendulum-v1"), sw.BoundaryProjection(), system=system(), **options
    )


@pytest.fixture(scope="module")
def env():
    return wrapped(set_state=set_state)


@pytest.fixture(scope="module")
def H():
    return facets(type("Env", (), {"system": system()}))


def episodes(guarded, env, H, count):
    """Margins in float64 of every state of some episodes of 200 steps in `env`, from the starts of
    `guarded`, and the infos.
    """
    rng, found, infos = np.random.default_rng(0), [], []
    for seed in range(count):
        guarded.reset(seed=seed)
        states = [np.array(guarded.unwrapped.state)]
        set_state(env.unwrapped, states[0])
        torques = (
            rng.uniform(-2, 2, (200, 1))
            if seed % 2
            else np.repeat(rng.choice([-2.0, 2.0], (20, 1)), 10, axis=0)
        )
        for torque in torques.astype(np.float32):
            infos.append(env.step(torque)[-1])
            states.append(np.array(env.unwrapped.state))
        found.append(margins(H, np.array(states)))
    return np.array(found), infos


def test_gymnasiums_pendulum_never_leaves_the_safe_set(env, H):
    """4,000 steps of Gymnasium's own dynamics, from states in the proved set."""
    found, infos = episodes(env, env, H, count=20)
    assert (found >= 0).all()
    assert 0.1 < np.mean([info["safeguard"]["intervened"] for info in infos]) < 0.9
    assert all(info["safeguard"]["inside"] == 1 and info["cost"] == 0 for info in infos)


def test_without_the_wrapper_it_falls(env, H):
    raw = gymnasium.make("Pendulum-v1", max_episode_steps=1000)
    raw.reset(seed=0)
    found, _ = episodes(env, raw, H, count=4)
    assert (found[:, 0] >= 0).all()
    assert (found[:, 50:] < 0).mean() > 0.9


def test_the_model_is_what_gymnasium_steps():
    """To a tenth of the disturbance that the certificate allows, on states of the safe set up to
    its boundary.
    """
    raw = gymnasium.make("Pendulum-v1").unwrapped
    raw.reset(seed=0)
    x = states_in(type("Env", (), {"system": system()}), 500)
    actions = np.random.default_rng(0).uniform(-1, 1, (500, 1)).astype(np.float32)
    predicted = np.asarray(jax.vmap(MODEL)(x, actions, np.zeros((500, 1), np.float32)))
    for state, action, expected in zip(x, actions, predicted, strict=True):
        set_state(raw, state)
        raw.step(2 * action)
        th, thd = np.abs(raw.state - expected)
        assert thd <= 0.05 * 0.01 / 10
        assert th <= 0.05**2 * 0.01 / 10


def test_resets_are_repeated_until_they_end_in_the_safe_set(H):
    env = wrapped()
    starts = []
    for seed in range(5):
        env.reset(seed=seed, options={"x_init": 0.5, "y_init": 1.0})
        starts.append(np.array(env.unwrapped.state))
    assert (margins(H, np.array(starts)) >= 0).all()
    env.reset(seed=4, options={"x_init": 0.5, "y_init": 1.0})
    np.testing.assert_array_equal(env.unwrapped.state, starts[-1])


def test_options_of_the_environment_are_not_overruled(H):
    """Where the user says how to start, `set_state` does not; without options it does."""
    env = wrapped(set_state=set_state)
    for seed in range(3):
        env.reset(seed=seed, options={"x_init": 0.01, "y_init": 0.01})
        assert (np.abs(env.unwrapped.state) <= 0.01).all()
        for options in (None, {}):
            env.reset(seed=seed, options=options)
            assert (np.abs(env.unwrapped.state) > 0.01).any()
    env.reset(seed=0, options={"x_init": 0.5, "y_init": 1.0})
    assert margins(H, env.unwrapped.state) >= 0


def test_options_that_start_outside_are_refused():
    class Obedient(Asymmetric):
        def reset(self, *, seed=None, options=None):
            result = super().reset(seed=seed)
            self.state = np.array(options["start"]) if options else self.state
            return result

    def put(env, x):
        env.state = x
        return np.zeros(1, np.float32)

    env = sw.GymSafeguardWrapper(
        Obedient(), sw.BoundaryProjection(), system=system(), set_state=put
    )
    env.reset(options={"start": [0.1, 0.0]})
    np.testing.assert_array_equal(env.unwrapped.state, [0.1, 0.0])
    with pytest.raises(
        sw.CertificateError,
        match=r"100 resets gave states like \[2\.0, 0\.0\]\. Give `options` that start there, or "
        r"none; they are \{'start': \[2\.0, 0\.0\]\}",
    ):
        env.reset(options={"start": [2.0, 0.0]})


def test_starts_outside_the_safe_set_are_refused():
    class Lying(Asymmetric):
        resets = 0

        def reset(self, *, seed=None, options=None):
            result = super().reset(seed=seed, options=options)
            self.state, self.resets = np.array([3.0, 0.0]), self.resets + 1
            return result

    never = sw.GymSafeguardWrapper(Lying(), sw.BoundaryProjection(), system=system())
    with pytest.raises(
        sw.CertificateError,
        match=r"must start in the safe set, but 100 resets gave states like \[3\.0, 0\.0\]\. "
        r"Give `set_state=`",
    ):
        never.reset()
    assert never.unwrapped.resets == 100
    deaf = wrapped(set_state=lambda env, x: set_state(env, [2.0, 0.0]))
    with pytest.raises(sw.CertificateError, match=r"`set_state` gave states like \[2\.0, 0\.0\]"):
        deaf.reset()


def test_requests_and_actions_are_in_units_of_the_environment(env):
    assert env.action_space == gymnasium.make("Pendulum-v1").action_space
    env.reset(seed=0)
    set_state(env.unwrapped, [0.0, 0.0])
    torque = np.array([0.123456], np.float32)
    observation, reward, _, _, info = env.step(torque)
    guard = info["safeguard"]
    np.testing.assert_array_equal(guard["action"], torque)
    assert guard["intervened"] == guard["changed"] == guard["distance"] == 0
    assert reward == info["task_reward"]
    set_state(env.unwrapped, [0.28, 0.0])
    _, _, _, _, info = env.step(np.array([1.5], np.float32))
    guard = info["safeguard"]
    assert guard["requested"] == pytest.approx(1.5)
    assert guard["action"] < 0
    assert guard["distance"] == pytest.approx((1.5 - guard["action"][0]) / 2, rel=1e-5)
    assert observation in env.observation_space


@pytest.mark.smoke
@pytest.mark.parametrize(("bad", "fallback"), [(np.nan, 1), (np.inf, 1), (-1e300, 1), (50.0, 0)])
def test_any_request_of_the_right_shape_gets_a_safe_action_and_a_flag(env, bad, fallback):
    env.reset(seed=0)
    _, reward, _, _, info = env.step(np.array([bad]))
    guard = info["safeguard"]
    assert guard["intervened"] == guard["changed"] == guard["inside"] == 1
    assert guard["fallback"] == fallback
    assert abs(guard["action"][0]) <= 2
    assert np.isfinite(reward)


def test_actions_of_another_shape_are_refused_before_anything_happens(env):
    env.reset(seed=0)
    before = env.unwrapped.state
    for action in (0.0, [0.0, 0.0]):
        with pytest.raises(sw.SetDimensionError, match=r"The action must have shape \(1,\)"):
            env.step(action)
    assert env.unwrapped.state is before


def test_a_state_outside_is_reported(env):
    env.reset(seed=0)
    set_state(env.unwrapped, [0.5, 3.0])
    guard, cost = (env.step(np.zeros(1))[-1][name] for name in ("safeguard", "cost"))
    assert (guard["feasible"], guard["inside"], cost) == (0, 0, 1)
    assert guard["margin"] < 0


def test_regularisation():
    env = wrapped(set_state=set_state, regularisation=0.5)
    env.reset(seed=0)
    set_state(env.unwrapped, [0.28, 0.0])
    _, reward, _, _, info = env.step(np.array([2.0], np.float32))
    gap = info["safeguard"]["distance"]
    assert gap > 0.5
    assert reward == pytest.approx(info["task_reward"] - 0.5 * gap**2, rel=1e-5)


def test_the_info_of_reset_and_step_has_the_same_entries(env):
    before, after = env.reset(seed=0)[1], env.step(np.zeros(1))[-1]
    assert jax.tree.structure(before) == jax.tree.structure(after)
    assert [np.asarray(leaf).dtype for leaf in jax.tree.leaves(before)] == [
        np.asarray(leaf).dtype for leaf in jax.tree.leaves(after)
    ]


class Asymmetric(gymnasium.Env):
    """Reports the action it got; its box is neither symmetric nor of unit size."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = spaces.Box(np.array([-1.0], np.float32), np.array([5.0], np.float32))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = np.zeros(2)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.got = action
        return np.zeros(1, np.float32), 0.0, False, False, {}


def test_observation_wrappers_inside_see_the_states_that_are_set():
    def build(set_state):
        inner = gymnasium.wrappers.TransformObservation(
            gymnasium.make("Pendulum-v1"),
            lambda obs: np.append(2 * obs, 1.0),
            Asymmetric.observation_space,
        )
        inner = gymnasium.wrappers.TransformObservation(
            inner, lambda obs: 10 * obs, spaces.Box(-np.inf, np.inf, (4,), np.float32)
        )
        return sw.GymSafeguardWrapper(
            inner, sw.BoundaryProjection(), system=system(), set_state=set_state
        )

    env = build(set_state)
    observation, _ = env.reset(seed=0)
    np.testing.assert_allclose(observation, [*(20 * env.unwrapped._get_obs()), 10.0], rtol=1e-6)
    assert observation.shape == env.step(np.zeros(1))[0].shape
    with pytest.raises(TypeError, match="`set_state` must return the environment's observation"):
        build(lambda env, x: (set_state(env, x), None)[1]).reset(seed=0)


def test_a_safe_request_that_rounding_took_into_the_box_stays_in_it():
    """1.0001 is 1 in units of a box 1001 wide, in float32."""
    plant = Asymmetric()
    plant.action_space = spaces.Box(np.float32([-1000.0]), np.float32([1.0]))
    env = sw.GymSafeguardWrapper(plant, sw.Replacement(), system=WholeBox())
    env.reset(seed=0)
    guard = env.step(np.array([1.00001]))[-1]["safeguard"]
    assert plant.got in plant.action_space
    assert guard["action"] == plant.got == 1


class WholeBox(IntegratorSystem):
    """Everything is safe."""

    def state(self, env):
        return env.state[:1]

    def safe_action_set(self, x):
        return sw.SafeActionSet.from_rows(jnp.ones((1, 1)), jnp.full(1, 2.0))


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 3, (1,), np.uint8),
        spaces.Box(-np.inf, 1, (1,)),
        spaces.Box(1.0, 1.0, (1,)),
        spaces.Box(-1, 1, (2,)),
        spaces.Discrete(3),
    ],
    ids=["integers", "unbounded", "no room", "two actions", "discrete"],
)
def test_a_space_of_other_actions_is_refused(space):
    """Integers would round a safe action to an unsafe one."""
    plant = Asymmetric()
    plant.action_space = space
    with pytest.raises(sw.CertificateError, match=r"The action space is .*, but it must be"):
        sw.GymSafeguardWrapper(plant, sw.BoundaryProjection(), system=system())


def test_a_system_must_be_one():
    with pytest.raises(TypeError, match="`system` must be a `System` such as `ModelSystem"):
        sw.GymSafeguardWrapper(Asymmetric(), sw.BoundaryProjection(), system=MODEL)


def test_a_system_need_not_be_hashable():
    kind = type("Mine", (IntegratorSystem,), {"__hash__": None, "state": lambda self, env: env.x})

    class Plant(Asymmetric):
        def reset(self, **options):
            self.x = np.zeros(1, np.float32)
            return self.x, {}

        def step(self, action):
            self.x = np.float32(self.x + (action - 2) / 6)
            return self.x, 0.0, False, False, {}

    env = sw.GymSafeguardWrapper(Plant(), sw.BoundaryProjection(), system=kind())
    env.reset(seed=0)
    infos = [env.step(np.array([5.0]))[-1]["safeguard"] for _ in range(4)]
    assert [info["inside"] for info in infos] == [1.0] * 4
    assert infos[-1]["intervened"] == 1


def test_what_stands_behind_it_is_tested_at_best(env):
    found = env.guarantee
    assert found.status == "tested"
    assert "whether `PendulumEnv` steps the model" in found.by
    assert "its system is proved: `prove` succeeded" in found.by


def test_the_box_is_mapped_onto_minus_one_to_one():
    env = sw.GymSafeguardWrapper(Asymmetric(), sw.BoundaryProjection(), system=system())
    env.reset(seed=0)
    for request in (5.0, -1.0, 2.0):
        guard = env.step(np.array([request], np.float32))[-1]["safeguard"]
        assert guard["requested"] == request
        unit = sw.safe_action(
            system(),
            sw.BoundaryProjection(),
            np.zeros(2, np.float32),
            np.float32([(request - 2) / 3]),
        )
        np.testing.assert_allclose(env.unwrapped.got, 2 + 3 * unit.action, rtol=1e-6)
        np.testing.assert_array_equal(env.unwrapped.got, guard["action"])
        assert env.unwrapped.got in env.action_space
    safe = np.array([0.1], np.float32)  # which the way to [-1, 1] and back would round
    env.step(safe)
    np.testing.assert_array_equal(env.unwrapped.got, safe)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 5.0), (0.0, 5.0), (-12.0, 12.0)])
def test_a_model_in_natural_units_must_have_the_bounds_of_the_space(low, high):
    """A model in volts behind an environment in newtons would get each action wrongly scaled."""
    model = sw.Model(
        "asymmetric",
        lambda x, a, w: MODEL.unit_step(x, (a - 2.0) / 3.0, w),
        2,
        disturbance_size=1,
        action_box=sw.Box([low], [high]),
    )
    claim = system().claim
    plant = sw.ModelSystem(
        sw.Claim(
            model,
            safe_state_set=claim.safe_state_set,
            constraint_set=claim.constraint_set,
            disturbance_set=claim.disturbance_set,
            eps=claim.eps,
        ),
        state=lambda env: env.state,
    )
    if (low, high) == (-1.0, 5.0):
        env = sw.GymSafeguardWrapper(Asymmetric(), sw.BoundaryProjection(), system=plant)
        env.reset(seed=0)
        guard = env.step(np.array([5.0], np.float32))[-1]["safeguard"]
        same = sw.safe_action(plant, sw.BoundaryProjection(), np.zeros(2), np.array([5.0]))
        np.testing.assert_allclose(guard["action"], same.action, rtol=1e-6)
        assert guard["clipped"] == 0
    else:
        message = r"bounds of the model's `action_box`, which is from .* but it is Box\(-1\.0, 5\.0"
        with pytest.raises(sw.CertificateError, match=message):
            sw.GymSafeguardWrapper(Asymmetric(), sw.BoundaryProjection(), system=plant)


def test_misuse_is_refused():
    raw, guard = gymnasium.make("Pendulum-v1"), sw.BoundaryProjection()
    with pytest.raises(
        sw.WrapperOrderError, match=r"Write `RescaleAction\(GymSafeguardWrapper\(env, ...\)\)`"
    ):
        sw.GymSafeguardWrapper(
            gymnasium.wrappers.RescaleAction(raw, np.float32(-1), np.float32(1)),
            guard,
            system=system(),
        )
    with pytest.raises(sw.WrapperOrderError, match="contains a `GymSafeguardWrapper`"):
        sw.GymSafeguardWrapper(wrapped(), guard, system=system())
    with pytest.raises(
        sw.CertificateError, match=r"is Discrete.*bounded box of the system's 1 action\(s\)"
    ):
        sw.GymSafeguardWrapper(gymnasium.make("CartPole-v1"), guard, system=system())
    with pytest.raises(TypeError, match="safeguard the environments before vectorising them"):
        sw.GymSafeguardWrapper(gymnasium.make_vec("Pendulum-v1", 2), guard, system=system())
    with pytest.raises(TypeError, match="must be a safeguard"):
        sw.GymSafeguardWrapper(raw, "boundary_projection", system=system())
    with pytest.raises(ValueError, match=r"`regularisation` is .*, but it must be a finite"):
        sw.GymSafeguardWrapper(raw, guard, system=system(), regularisation=-1.0)


def test_gymnasiums_pendulum_conforms_to_its_model(env):
    report = sw.conform(env, samples=500)
    assert report.conforms
    assert report.name == "Pendulum-v1"
    assert not report.own_disturbance
    assert np.abs(report.all.disturbance).max() < 1e-5  # where W is 0.01
    with pytest.raises(ValueError, match="give `start=`, a function"):
        sw.conform(wrapped())


def test_the_monitor_flags_other_physics_and_nothing_else():
    env = wrapped(set_state=set_state, monitor=True)
    rng = np.random.default_rng(0)
    before, after = env.reset(seed=0)[1], env.step(np.zeros(1))[-1]
    assert jax.tree.structure(before) == jax.tree.structure(after)
    assert before["safeguard"]["residual"].shape == after["safeguard"]["residual"].shape == (1,)
    for _ in range(100):
        guard = env.step(rng.choice([-2.0, 2.0], 1))[-1]["safeguard"]
        assert guard["modelled"] == 1
        assert abs(guard["residual"][0]) < 1e-3
    env.reset(seed=0)
    env.unwrapped.g = 10.5
    set_state(env.unwrapped, [0.2, 0.0])
    guard = env.step(np.zeros(1))[-1]["safeguard"]
    assert guard["modelled"] == 0
    np.testing.assert_allclose(guard["residual"], 1.5 * 0.5 * np.sin(0.2), atol=1e-3)


def test_it_can_be_made_again_from_its_spec(env):
    again = gymnasium.make(env.spec)
    np.testing.assert_array_equal(again.reset(seed=1)[0], env.reset(seed=1)[0])


@pytest.mark.parametrize("name", ["env", "system", "safeguard", "regularisation", "set_state"])
def test_what_compiled_programs_hold_cannot_be_changed(name):
    with pytest.raises(AttributeError, match=f"`{name}` of a `GymSafeguardWrapper` cannot be chan"):
        setattr(wrapped(), name, None)
