"""Bundled robots that are commanded by accelerations."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from virtual_plants import arm_claim

import safe_wrappers as sw
from safe_wrappers.certificates import prove
from safe_wrappers.envs import ClaimEnv, ModelEnv, SafeArm, SafeQuadrotor3D, joint_state
from safe_wrappers.models import Commanded


@pytest.fixture(scope="module")
def arm():
    return SafeArm(commands="virtual", disturbance="none")


def test_the_guarantee_and_sizes_are_those_of_the_plant(arm):
    assert arm.guarantee.status == "proved"
    assert sw.SafeguardWrapper(arm, sw.BoundaryProjection()).guarantee.status == "proved"
    assert SafeQuadrotor3D(commands="virtual").guarantee.status == "proved"
    assert (arm.action_size, arm.observation_size, arm.dt) == (2, 6, 0.02)
    assert arm.model.plant is arm.system.claim.model


def test_another_step_is_only_tested(arm):
    class Other(SafeArm):
        def __init__(self):
            super().__init__(commands="virtual")
            self.model = Commanded(self.system.claim.model, self.system.model.action_box)

    assert Other().guarantee.status == "tested"


def test_it_steps_as_the_plant_does_under_the_torques_and_is_paid_for_these(arm):
    plain = SafeArm(disturbance="none")

    @jax.jit
    def both(key, command):
        state = arm.reset(key)
        x = arm.system.state(state)
        torque = arm.model.executed(x, command)
        return arm.step(state, command), plain.step(plain.reset(key), torque)

    key, command = jax.random.PRNGKey(3), jnp.array([0.7, -0.4])
    found, expected = both(key, command)
    np.testing.assert_allclose(found.obs, expected.obs, atol=1e-6)
    np.testing.assert_allclose(found.reward, expected.reward, rtol=1e-5)
    before = arm.system.state(arm.reset(key))
    v = arm.model.natural_action(command)
    np.testing.assert_allclose((found.obs[2:4] - before[2:]) / 0.02, v, atol=1e-3)


def test_gymnasium_makes_it():
    env = gymnasium.make("SafeWrappers/Arm-v0", commands="virtual", goal="limits")
    env.reset(seed=0)
    assert env.action_space.shape == (2,)
    least = 1.0
    for _ in range(20):
        info = env.step(np.array([1.0, -1.0], np.float32))[-1]
        least = min(least, float(info["safeguard"]["margin"]))
    assert least >= 0
    env.close()
    with pytest.raises(ValueError, match="`commands` is 'speed', but it must be one of"):
        SafeArm(commands="speed")


def test_an_environment_that_knows_only_torques_gets_torques():
    """Another environment than the system's own: the wrapper turns commands into its actions."""
    claim = arm_claim()
    plant = ClaimEnv(claim, disturbance="none")
    system = sw.ModelSystem(claim, state=plant.system.state, commands="virtual")
    env = sw.SafeguardWrapper(
        plant, sw.BoundaryProjection(), system=system, reset_to=plant.reset_to, monitor=True
    )
    own = sw.SafeguardWrapper(
        ClaimEnv(claim, disturbance="none", commands="virtual"), sw.BoundaryProjection()
    )

    @jax.jit
    def both(x, command):
        states = [e.step(e.reset_to(x, jax.random.PRNGKey(0)), command) for e in (env, own)]
        return states[0].obs, states[1].obs, states[0].metrics

    x = jnp.array([0.5, -0.4, 1.0, 0.3])
    for command in (jnp.array([0.5, -0.8]), jnp.array([30.0, jnp.nan])):
        found, expected, metrics = both(x, command)
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert metrics["safeguard/unmodelled_per_step"] == 0
    assert env.guarantee.status == "tested"


def test_wrappers_that_hand_actions_on_refuse():
    claim = arm_claim()
    system = sw.ModelSystem(claim, state=lambda env: env.state, commands="virtual")
    env = gymnasium.make("Pendulum-v1")
    with pytest.raises(sw.CertificateError, match="whose actions are virtual inputs"):
        sw.GymSafeguardWrapper(env, sw.BoundaryProjection(), system=system)


def test_an_environment_steps_what_its_system_commands():
    """Accelerations that are executed as torques would leave a set that is called proved."""

    class Mine(ModelEnv):
        observation_size = 4

        def observe(self, x, info):
            return x

        def reward(self, x, action, info):
            return -x @ x

    claim = arm_claim()
    system = sw.ModelSystem(claim, state=joint_state, commands="virtual")
    with pytest.raises(sw.CertificateError, match="must step what its system commands"):
        Mine(claim.model, system, system.disturbance_set)
    assert prove(claim)
    assert Mine(system.model, system, system.disturbance_set).guarantee.status == "proved"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Accessing `ncon`:DeprecationWarning")
def test_the_physics_conform():
    assert sw.conform(SafeArm(commands="virtual", backend="generalized"), samples=500).conforms


@pytest.mark.slow
def test_what_is_compiled_is_what_numpy_computes(arm):
    report = sw.testing.check_compiled(arm, batch_size=512)
    assert report.findings["largest error of a step, of its allowance"] < 1


@pytest.mark.slow
def test_attacks_and_soaks_judge_the_plant():
    report = sw.soak(SafeArm(commands="virtual"), steps=100_000, seed=0)
    assert report.held
    raw = sw.soak(SafeArm(commands="virtual"), "none", steps=10_000, seed=0)
    assert raw.exits > 100
