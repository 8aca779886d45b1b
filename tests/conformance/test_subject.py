"""Whatever safeguards an environment, the environment inside is compared, from where the
safeguard's wrapper starts it.
"""

import gymnasium
import pytest
from brax.envs.wrappers import training
from gymnasium import wrappers
from integrators import Integrator, system
from pipeline_env import Arm

import safe_wrappers as sw
from safe_wrappers.conformance._subject import subject_of

SAFEGUARD = sw.BoundaryProjection()


class Unstartable(Integrator):
    """As most environments of others."""

    reset_to = None  # the protocols of typing take None for "does not have it"


def test_the_wrappers_starts_are_used():
    def elsewhere(x, key):
        return Integrator().reset_to(x + 5, key)

    env = sw.SafeguardWrapper(Unstartable(), SAFEGUARD, reset_to=Integrator().reset_to)
    assert sw.conform(env, samples=20).conforms
    with pytest.raises(ValueError, match="No step began in the safe set"):
        sw.conform(env, samples=20, start=elsewhere)  # what is given comes first
    with pytest.raises(
        ValueError,
        match="Unstartable on none must be started at chosen states, "
        "but it has no `reset_to`; give `start=`",
    ):
        sw.conform(sw.SafeguardWrapper(Unstartable(), SAFEGUARD))


def test_a_choice_of_joints_needs_a_start():
    with pytest.raises(
        ValueError,
        match=r"x = \(q, qd\) of all joints, shape \(4,\), but the system's has shape \(2,\); "
        r"give `start=`",
    ):
        sw.conform(Arm(), system())


class Plant(gymnasium.Env):
    """A Gymnasium environment that is never stepped here."""

    observation_space = action_space = gymnasium.spaces.Box(-1, 1, (1,))


def test_the_gymnasium_safeguard_may_lie_under_other_wrappers():
    def set_state(env, x):
        """Only told apart from others here."""

    env = wrappers.TimeLimit(
        sw.GymSafeguardWrapper(Plant(), SAFEGUARD, system=system(), set_state=set_state), 10
    )
    subject = subject_of(env, None, None)
    assert (subject.name, subject.start) == ("Plant", set_state)
    assert subject.system is env.env.system
    assert subject_of(env, None, print).start is print
    with pytest.raises(sw.CertificateError, match=r"`Plant` has no `system`.*give `system=\.\.\.`"):
        subject_of(wrappers.TimeLimit(Plant(), 10), None, None)


def test_of_a_gym_env_the_brax_environment_inside_is_compared():
    env = gymnasium.make("SafeWrappers/Pendulum-v0")
    subject = subject_of(env, None, None)
    assert subject.env is env.unwrapped.env.env
    assert subject.name == "SafePendulum on closed_form"
    assert (
        subject_of(gymnasium.make("SafeWrappers/Pendulum-v0", safeguard=None), None, None).name
        == subject.name
    )
    other = system()
    assert subject_of(env, other, None).system is other
    with pytest.raises(
        sw.WrapperOrderError, match="`env` is a `EpisodeWrapper`; give the environment inside"
    ):
        subject_of(training.EpisodeWrapper(env.unwrapped.env, 10, 1), None, None)


def test_many_environments_at_once_are_refused():
    with pytest.raises(
        TypeError,
        match="must be a single environment of Brax or Gymnasium, or a "
        "`PlaygroundSafeguardWrapper`, but it is a "
        "`SafeGymVectorEnv`",
    ):
        subject_of(gymnasium.make_vec("SafeWrappers/Pendulum-v0", 2), None, None)
