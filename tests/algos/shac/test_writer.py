"""Where there are other hosts, a process that does not know of them writes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.training.acme import running_statistics, specs

from safe_wrappers.algos.shac import checkpoint, make_inference_fn, make_shac_networks, writer

STATE = {"updates": jnp.int32(7), "weights": jnp.arange(3.0)}


@pytest.fixture
def written():
    """Networks, parameters and configuration of a policy."""
    networks = make_shac_networks(3, 2, running_statistics.normalize)
    normalizer = running_statistics.init_state(specs.Array((3,), jnp.dtype("float32")))
    keys = jax.random.split(jax.random.PRNGKey(0))
    params = (
        normalizer,
        networks.policy_network.init(keys[0]),
        networks.value_network.init(keys[1]),
    )
    return networks, params, checkpoint.network_config(3, 2, True, make_shac_networks)


def test_the_checkpoint_is_the_same_as_without_other_hosts(written, tmp_path, monkeypatch):
    networks, params, config = written
    history = [{"interactions": 8, "eval/return": -0.5}]
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    writer.save(str(tmp_path), 8, params, config, STATE, history)
    monkeypatch.undo()
    jax.tree.map(np.testing.assert_array_equal, checkpoint.load(tmp_path), params)
    found = checkpoint.load_training_state(tmp_path, STATE)
    jax.tree.map(np.testing.assert_array_equal, found, STATE)
    assert checkpoint.load_history(tmp_path) == history
    policy = make_inference_fn(networks)(params, deterministic=True)
    obs = jnp.array([0.1, -2.0, 3.0])
    np.testing.assert_array_equal(
        checkpoint.load_policy(tmp_path)(obs, None)[0], policy(obs, None)[0]
    )


def test_a_process_that_fails_says_why(written, tmp_path, monkeypatch):
    _, params, config = written
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(OSError, match=r"The checkpoint of 8 interactions.*: FileExistsError"):
        writer.save(str(tmp_path / "file"), 8, params, config, STATE)
