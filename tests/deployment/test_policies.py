"""Policies as files: what one process saves, another one loads."""

import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.training.acme import running_statistics, specs

import safe_wrappers as sw
from safe_wrappers.algos import shac
from safe_wrappers.algos.shac import checkpoint

OBS = np.array([0.1, -2.0, 3.0], np.float32)


def shac_policy(scale=1.0, deterministic=True):
    networks = shac.make_shac_networks(3, 2, running_statistics.normalize)
    normalizer = running_statistics.update(
        running_statistics.init_state(specs.Array((3,), jnp.dtype("float32"))),
        jax.random.normal(jax.random.PRNGKey(9), (20, 3)),
    )
    weights = networks.policy_network.init(jax.random.PRNGKey(0))
    weights = jax.tree.map(lambda weight: scale * weight, weights)
    params = (normalizer, weights, networks.value_network.init(jax.random.PRNGKey(1)))
    config = checkpoint.network_config(3, 2, True, shac.make_shac_networks)
    return shac.make_inference_fn(networks, config)(params, deterministic=deterministic)


def run_folder(path, returns):
    """The folder of a run with checkpoints at 32, 64, ... interactions, larger and larger."""
    # before training there is no checkpoint
    history = [
        {"interactions": 32 * i, "eval/return": value} for i, value in enumerate([9, *returns])
    ]
    for i, _ in enumerate(returns, 1):
        policy = shac_policy(float(i))
        folder, state = path / "checkpoints", {"n": np.ones(1)}
        checkpoint.save(folder, 32 * i, policy.params, policy.config, state, history[: i + 1])
    return path


def test_a_policy_of_shac_loads_as_what_it_was(tmp_path):
    policy = shac_policy()
    assert sw.save_policy(tmp_path / "deep" / "policy", policy) == tmp_path / "deep" / "policy"
    loaded = sw.load_policy(tmp_path / "deep" / "policy")
    np.testing.assert_array_equal(loaded(OBS, None)[0], policy(OBS, None)[0])
    # and can be saved again
    sw.save_policy(tmp_path / "again", loaded)
    again = sw.load_policy(tmp_path / "again", deterministic=False)
    key = jax.random.PRNGKey(3)
    expected = shac_policy(deterministic=False)(OBS, key)[0]
    np.testing.assert_array_equal(again(OBS, key)[0], expected)
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_any_function_loads_in_another_process(tmp_path):
    weights = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)

    def policy(observation):
        return jnp.tanh(observation @ weights)

    sw.save_policy(tmp_path / "policy", policy, observation_size=3)
    code = f"""
import numpy as np, safe_wrappers as sw
policy = sw.load_policy({str(tmp_path / "policy")!r})
action, extras = policy(np.array({OBS.tolist()}, np.float32), None)
assert extras == {{}}
print(*np.asarray(action).tolist())
"""
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    # XLA may fuse the exported program in another way.
    np.testing.assert_allclose(list(map(float, printed.split())), policy(OBS), rtol=1e-6)


def test_a_policy_of_brax_is_saved_with_its_action(tmp_path):
    def policy(observation, key):
        del key
        return observation[:1], {"log_prob": 0.0}

    sw.save_policy(tmp_path / "policy", policy, observation_size=3)
    assert sw.load_policy(tmp_path / "policy")(OBS, None)[0] == OBS[0]


@pytest.mark.parametrize(("which", "scale"), [("last", 3), ("best", 2), (32, 1), (96, 3)])
def test_the_checkpoint_of_a_run_can_be_chosen(tmp_path, which, scale):
    run_folder(tmp_path, returns=[-3.0, -1.0, -2.0])
    expected = shac_policy(float(scale))(OBS, None)[0]
    np.testing.assert_array_equal(sw.load_policy(tmp_path, which=which)(OBS, None)[0], expected)


def test_a_wrong_choice_says_what_there_is(tmp_path):
    run_folder(tmp_path, returns=[-3.0, -1.0])
    with pytest.raises(ValueError, match=r"'last', 'best' or one of 32, 64, but it is 33"):
        sw.load_policy(tmp_path, which=33)
    with pytest.raises(ValueError, match="Did you mean 'best'"):
        sw.load_policy(tmp_path, which="bset")
    policy = shac_policy()
    checkpoint.save(tmp_path / "other", 8, policy.params, policy.config, {"n": np.ones(1)})
    with pytest.raises(ValueError, match=r"hold no evaluation.*must be 'last' or one of 8"):
        sw.load_policy(tmp_path / "other", which="best")


def test_where_there_is_no_policy_is_a_clear_error(tmp_path):
    for which in ("last", "best", 32):
        with pytest.raises(FileNotFoundError, match="There must be"):
            sw.load_policy(tmp_path, which=which)


def test_an_existing_policy_is_replaced_only_if_asked_and_nothing_else_ever(tmp_path):
    sw.save_policy(tmp_path / "policy", shac_policy())
    with pytest.raises(FileExistsError, match="overwrite=True"):
        sw.save_policy(tmp_path / "policy", shac_policy(2.0))
    sw.save_policy(tmp_path / "policy", shac_policy(2.0), overwrite=True)
    np.testing.assert_array_equal(
        sw.load_policy(tmp_path / "policy")(OBS, None)[0], shac_policy(2.0)(OBS, None)[0]
    )
    (tmp_path / "notes").mkdir()
    with pytest.raises(FileExistsError, match="give another path"):
        sw.save_policy(tmp_path / "notes", shac_policy(), overwrite=True)


def test_a_failed_save_leaves_the_old_policy_and_nothing_else(tmp_path):
    sw.save_policy(tmp_path / "policy", lambda obs: obs[:1], observation_size=3)
    with pytest.raises(TypeError):
        sw.save_policy(
            tmp_path / "policy", lambda obs: obs["a"], observation_size=3, overwrite=True
        )
    assert [entry.name for entry in tmp_path.iterdir()] == ["policy"]
    assert sw.load_policy(tmp_path / "policy")(OBS, None)[0] == OBS[0]


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(TypeError, match=r"observation_size=env.observation_size"):
        sw.save_policy(tmp_path / "policy", lambda obs: obs)
    with pytest.raises(TypeError, match="must be a function"):
        sw.save_policy(tmp_path / "policy", OBS, observation_size=3)


def test_a_damaged_program_is_a_clear_error(tmp_path):
    sw.save_policy(tmp_path / "policy", lambda obs: obs, observation_size=3)
    program = pathlib.Path(tmp_path / "policy" / "policy.jax")
    program.write_bytes(program.read_bytes()[:100])
    with pytest.raises(ValueError, match="cannot be read"):
        sw.load_policy(tmp_path / "policy")
