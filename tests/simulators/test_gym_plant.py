import brax.envs
import gymnasium
import jax
import numpy as np
import pytest
from gymnasium import spaces
from mujoco_models import BALL, CART_POLE, FALLING, SLOW_MOTOR, Mujoco

import safe_wrappers as sw

KEY = jax.random.PRNGKey(0)


class Cart(gymnasium.Env):
    """Two frames of 0.1 s per action, which is a force from -2 to 4; in NumPy."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,))
    action_space = spaces.Box(np.float32([-2.0]), np.float32([4.0]))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = self.np_random.uniform(-1, 1, 2)
        return self._get_obs(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        for _ in range(2):
            position, velocity = self.x
            velocity = velocity + 0.1 * (self.force(action[0]) - np.sin(position))
            self.x = np.array([position + 0.1 * velocity, velocity])
        return self._get_obs(), 0.0, False, False, {}

    def force(self, action):
        return action

    def _get_obs(self):
        return self.x.astype(np.float32)


def get_state(env):
    return env.x


def set_state(env, x):
    env.x = x


def plant(env=None, **changes):
    functions = {"get_state": get_state, "set_state": set_state, **changes}
    return sw.GymPlant(env if env is not None else Cart(), **functions)


def test_steps_are_the_environments_own_from_any_state():
    found, env = plant(), Cart()
    x = np.random.default_rng(0).uniform(-1, 1, (50, 2)).astype(np.float32)
    a = np.linspace(-1, 1, 50)[:, None]
    after = found.steps(x, a)
    env.reset(seed=3)
    for start, unit, end in zip(x, a, after, strict=True):
        env.x = start.astype(float)
        env.step((1 + 3 * unit).astype(np.float32))
        np.testing.assert_allclose(env.x, end, rtol=0, atol=1e-12)
    assert (found.name, found.state_size, found.action_size) == ("Cart", 2, 1)
    np.testing.assert_array_equal([found.action_box.lower, found.action_box.upper], [[-2], [4]])


def test_an_observation_comes_with_a_state():
    found, env = plant(), Cart()
    np.testing.assert_array_equal(found.set_state(env, [0.5, 1.0]), np.float32([0.5, 1.0]))
    np.testing.assert_array_equal(found.state(env), [0.5, 1.0])
    own = plant(set_state=lambda env, x: (set_state(env, x), "seen")[1])
    assert own.set_state(env, [0.0, 0.0]) == "seen"


def test_a_surrogate_follows_it_in_the_units_of_its_actions():
    surrogate = sw.fit_surrogate(plant(), sw.Box.symmetric([0.5, 1.0]), KEY, samples=2_000)
    model = surrogate.model
    np.testing.assert_array_equal([model.action_box.lower, model.action_box.upper], [[-2], [4]])
    assert surrogate.largest.max() < 1e-4
    env = Cart()
    env.reset(seed=0)
    env.x = np.array([0.3, -0.7])
    env.step(np.float32([3.5]))
    after = model(np.float32([0.3, -0.7]), np.float32([3.5]), np.zeros(2, np.float32))
    np.testing.assert_allclose(after, env.x, atol=1e-4)


@pytest.mark.parametrize(
    ("hidden", "message"),
    [
        ("filter", r"differ by up to \([\d.]+, [\d.]+\), where a step changes x by up to"),
        ("noise", "draws random numbers"),
    ],
)
def test_what_is_remembered_or_random_is_an_error_if_it_matters(hidden, message):
    class Filtered(Cart):
        last = 0.0

        def force(self, action):
            self.last = 0.8 * self.last + 0.2 * action
            return self.last

    class Noisy(Cart):
        def force(self, action):
            return action + self.np_random.standard_normal()

    with pytest.raises(sw.ModelError, match=message):
        plant({"filter": Filtered, "noise": Noisy}[hidden]())


def test_what_is_remembered_and_hardly_matters_is_a_warning():
    class Sticky(Cart):
        last = 0.0

        def force(self, action):
            before, self.last = self.last, action
            return action + 1e-3 * before

    with pytest.warns(UserWarning, match="The difference is a disturbance: add it"):
        plant(Sticky())


def test_get_state_must_return_what_was_set():
    with pytest.raises(
        sw.ModelError,
        match=r"`get_state` must return the state that `set_state` put .* for Cart it returned",
    ):
        plant(set_state=lambda env, x: set_state(env, x[::-1]))
    for bad in (lambda env: env.x[0], lambda env: np.full(2, np.nan), lambda env: []):
        with pytest.raises(sw.SetDimensionError, match="`get_state` must return finite numbers"):
            plant(get_state=bad)


def test_an_environment_that_wants_a_reset_after_its_end_gets_one():
    class Ending(Cart):
        over = False

        def reset(self, *, seed=None, options=None):
            self.over = False
            return super().reset(seed=seed)

        def step(self, action):
            assert not self.over
            observation, reward, _, _, info = super().step(action)
            self.over = bool(abs(self.x[0]) > 0.5)
            return observation, reward, self.over, False, info

    found = plant(Ending())
    assert np.isfinite(found.steps(np.array([[0.6, 0.0], [0.6, 0.0]]), np.zeros((2, 1)))).all()


def test_other_things_are_refused():
    with pytest.raises(TypeError, match=r"Write `BraxPlant\(env\)`"):
        sw.GymPlant(brax.envs.get_environment("fast"))
    with pytest.raises(TypeError, match="before they are vectorised"):
        sw.GymPlant(gymnasium.make_vec("Pendulum-v1", 2))
    with pytest.raises(TypeError, match="must be told how to read and set the state of Pendulum-v"):
        sw.GymPlant(gymnasium.make("Pendulum-v1"))
    with pytest.raises(TypeError, match="must be given together"):
        sw.GymPlant(Cart(), get_state)
    with pytest.raises(TypeError, match="`set_state` is 3, but it must be a function"):
        sw.GymPlant(Cart(), get_state, 3)
    with pytest.raises(
        sw.WrapperOrderError, match="Give the environment inside it, and put the `RescaleAction` ar"
    ):
        plant(gymnasium.wrappers.RescaleAction(Cart(), np.float32(-1), np.float32(1)))
    with pytest.raises(sw.CertificateError, match="is Discrete"):
        sw.GymPlant(gymnasium.make("CartPole-v1"), get_state, set_state)
    with pytest.raises(TypeError, match=r"Write `GymPlant\(env\)` for an environment of Gymnasium"):
        sw.BraxPlant(Cart())


def test_joints_of_mujoco_are_the_state_by_default(tmp_path):
    env = Mujoco(tmp_path, CART_POLE)
    found = sw.GymPlant(env)
    assert found.state_names == ("rail", "pole", "rail velocity", "pole velocity")
    env.reset(seed=1)
    before = found.state(env)
    for unit in ([0.5], [-1.0], [1.0]):
        env.step(np.float32([2 * unit[0]]))
        after = found.state(env)
        np.testing.assert_allclose(found.steps(before[None], np.array([unit]))[0], after, atol=1e-9)
        before = after
    np.testing.assert_array_equal(found.set_state(env, [0.1, 0.2, 0.3, 0.4]), [0.1, 0.2, 0.3, 0.4])


def test_limits_inside_the_sampled_set_are_warned_of(tmp_path):
    found = sw.GymPlant(Mujoco(tmp_path, CART_POLE))
    sw.fit_surrogate(found, sw.Box.symmetric([0.9, 0.2, 1.0, 1.0]), KEY, samples=500)
    with pytest.warns(
        UserWarning, match=r"states sampled in `states` of Mujoco a joint is at the end .*`rail`"
    ):
        sw.fit_surrogate(found, sw.Box.symmetric([1.2, 0.2, 1.0, 1.0]), KEY, samples=500)


def test_quaternions_and_actuators_with_a_state_are_refused(tmp_path):
    with pytest.raises(sw.ModelError, match=r"quaternion of the ball joint `shoulder`\. .*Is my"):
        sw.GymPlant(Mujoco(tmp_path, BALL))
    with pytest.raises(sw.ModelError, match=r"1 actuator\(s\) of Mujoco have a state of their own"):
        sw.GymPlant(Mujoco(tmp_path, SLOW_MOTOR))
    for name in ("Ant-v5", "Humanoid-v5"):
        with pytest.raises(sw.ModelError, match="quaternion of the free joint `root`"):
            sw.GymPlant(gymnasium.make(name))


def test_contacts_and_many_states_are_warned_of(tmp_path):
    with pytest.warns(UserWarning, match="of Mujoco bodies touch .for example `world` and `ball`"):
        sw.GymPlant(Mujoco(tmp_path, FALLING))
    with pytest.warns(UserWarning, match="12 states|bodies touch") as warned:
        sw.GymPlant(gymnasium.make("Hopper-v5"))
    texts = [str(warning.message) for warning in warned]
    assert len(texts) == 2
    assert texts[0].startswith("Hopper-v5 has 12 states. Safe sets were found for up to 4 states")
    assert "of Hopper-v5 bodies touch" in texts[1]
    assert all(warning.filename == __file__ for warning in warned)
