import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.training.acme import running_statistics, specs

from safe_wrappers.algos.shac import make_inference_fn, make_shac_networks


def test_the_first_policy_is_centred_with_a_small_constant_spread():
    networks = make_shac_networks(3, 2)
    params = networks.policy_network.init(jax.random.PRNGKey(0))
    mean, raw_std = jnp.split(
        networks.policy_network.apply(
            None, params, 5 * jax.random.normal(jax.random.PRNGKey(1), (100, 3))
        ),
        2,
        axis=-1,
    )
    assert jnp.abs(mean).max() < 0.1
    np.testing.assert_array_equal(raw_std, np.full((100, 2), -3.0))
    assert networks.parametric_action_distribution.create_dist(jnp.array([0.0, -3.0])).scale[
        0
    ] == pytest.approx(0.0496, abs=1e-3)


def test_samples_are_reparametrised_and_in_the_box():
    networks = make_shac_networks(3, 2, running_statistics.normalize)
    normalizer = running_statistics.init_state(specs.Array((3,), jnp.dtype("float32")))
    policy_params = networks.policy_network.init(jax.random.PRNGKey(0))
    make_policy = make_inference_fn(networks)
    obs, key = jnp.ones(3), jax.random.PRNGKey(1)
    action, _ = make_policy((normalizer, policy_params, None))(obs, key)
    assert action.shape == (2,)
    assert jnp.abs(action).max() < 1
    gradient = jax.grad(lambda p: make_policy((normalizer, p, None))(obs, key)[0].sum())(
        policy_params
    )
    assert jnp.all(gradient["params"]["raw_std"] != 0)
    mode = make_policy((normalizer, policy_params, None), deterministic=True)(obs, key)[0]
    assert not np.array_equal(mode, action)


def test_the_value_of_a_batch_has_one_number_per_observation():
    networks = make_shac_networks(3, 2)
    assert networks.value_network.apply(
        None, networks.value_network.init(jax.random.PRNGKey(0)), jnp.ones((5, 4, 3))
    ).shape == (5, 4)
