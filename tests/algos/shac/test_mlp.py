import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.training import networks
from flax import linen

from safe_wrappers.algos.shac.mlp import MLP

BOTH = {"layer_sizes": (16, 8, 3), "activation": linen.elu}


@pytest.mark.parametrize("shape", [(5,), (7, 5), (2, 3, 5)])
@pytest.mark.parametrize("layer_norm", [True, False])
def test_parameters_outputs_and_derivatives_are_those_of_brax(shape, layer_norm):
    ours = MLP(**BOTH, layer_norm=layer_norm)
    theirs = networks.MLP(**BOTH, layer_norm=layer_norm)
    key = jax.random.PRNGKey(0)
    params, expected = (module.init(key, jnp.zeros((1, 5))) for module in (ours, theirs))
    assert jax.tree.structure(params) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, params, expected)
    # Scales and shifts of their own, since the first ones are 1 and 0.
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    params = jax.tree.unflatten(
        structure,
        [
            leaf + 0.3 * jax.random.normal(k, leaf.shape)
            for leaf, k in zip(leaves, keys, strict=True)
        ],
    )
    x = jax.random.normal(jax.random.PRNGKey(1), shape)
    direction = jax.random.normal(jax.random.PRNGKey(2), shape)

    def everything(net):
        def loss(params, x):
            return jnp.sum(jnp.sin(net.apply(params, x)))

        forward = jax.jvp(lambda x: net.apply(params, x), (x,), (direction,))
        return forward, jax.grad(loss, argnums=(0, 1))(params, x)

    found, wanted = (jax.jit(lambda net=net: everything(net))() for net in (ours, theirs))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), found, wanted)


def test_a_batch_of_networks_is_each_of_them():
    net, keys = MLP(**BOTH, layer_norm=True), jax.random.split(jax.random.PRNGKey(0), 4)
    params = jax.vmap(lambda key: net.init(key, jnp.zeros((1, 5))))(keys)
    x = jax.random.normal(keys[0], (4, 6, 5))
    found = jax.vmap(net.apply)(params, x)
    for i in range(4):
        one = net.apply(jax.tree.map(lambda leaf, i=i: leaf[i], params), x[i])
        np.testing.assert_allclose(found[i], one, atol=1e-5)
