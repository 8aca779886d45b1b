import brax.envs
import gymnasium
import jax
import jax.numpy as jnp
import pytest
from brax.envs.wrappers.training import VmapWrapper

import safe_wrappers as sw
from safe_wrappers.envs import SafePendulum


def test_the_pendulum_is_registered_with_brax():
    env = brax.envs.get_environment("safe_pendulum", safe_set="narrow")
    assert isinstance(env, SafePendulum)
    assert type(sw.envs.get_environment("safe_pendulum")) is SafePendulum
    assert env.system.certificate.name == "narrow"


def test_registering_again_does_no_harm():
    before = brax.envs.get_environment("safe_pendulum").__class__
    sw.envs.register()
    assert brax.envs.get_environment("safe_pendulum").__class__ is before


def test_brax_can_create_it_for_training():
    env = brax.envs.create("safe_pendulum", episode_length=10, batch_size=4)
    state = jax.eval_shape(env.reset, jax.random.PRNGKey(0))
    assert jax.eval_shape(env.step, state, jnp.zeros((4, 1))).obs.shape == (4, 4)


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_a_class_of_gymnasium_is_among_the_direct_bases(make):
    """By them skrl knows of which library an environment is."""
    bases = type(make("SafeWrappers/Pendulum-v0").unwrapped).__bases__
    assert any(base.__module__.startswith("gymnasium.") for base in bases)


def test_unknown_names_are_refused_with_the_nearest_valid_one():
    for function in (sw.envs.get_environment, sw.envs.get_model):
        with pytest.raises(
            ValueError,
            match=r"`name` is 'safe_pendulm', but it must be one of 'safe_pendulum'.*\. "
            r"Did you mean 'safe_pendulum'\?",
        ):
            function("safe_pendulm")


def test_models_and_certificates_by_name():
    assert sw.envs.get_model("safe_pendulum").name == "safe_pendulum"
    assert "safe_pendulum" in sw.envs.registered_names()
    names = sw.envs.certificate_names("safe_pendulum")
    assert names == ("full", "narrow", "upright", "walter2025")
    for name in names:
        assert sw.envs.load_certificate("safe_pendulum", name).name == name


def test_the_name_of_a_bundled_environment_is_known_also_inside_wrappers():
    guarded = sw.SafeguardWrapper(sw.envs.SafeCartPole(), sw.BoundaryProjection())
    assert sw.envs.registered_name(guarded) == "safe_cart_pole"
    assert sw.envs.registered_name(VmapWrapper(guarded)) == "safe_cart_pole"
    assert sw.envs.registered_name(object()) is None
