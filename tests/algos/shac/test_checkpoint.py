import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.training.acme import running_statistics, specs
from orbax import checkpoint as ocp

from safe_wrappers.algos.shac import checkpoint, make_inference_fn, make_shac_networks

STATE = {"updates": jnp.int32(7), "weights": [jnp.arange(3.0), jnp.ones(2, bool)]}


def save(path, step=8, scale=1.0, factory=make_shac_networks, history=()):
    networks = factory(3, 2, running_statistics.normalize)
    normalizer = running_statistics.update(
        running_statistics.init_state(specs.Array((3,), jnp.dtype("float32"))),
        jax.random.normal(jax.random.PRNGKey(9), (20, 3)),
    )
    policy_params = jax.tree.map(
        lambda p: scale * p, networks.policy_network.init(jax.random.PRNGKey(0))
    )
    params = (normalizer, policy_params, networks.value_network.init(jax.random.PRNGKey(1)))
    config = checkpoint.network_config(3, 2, True, factory)
    folder = checkpoint.save(path, step, params, config, STATE, history)
    return folder, make_inference_fn(networks)(params, deterministic=True)


def test_a_loaded_policy_acts_like_the_saved_one(tmp_path):
    folder, policy = save(tmp_path)
    assert folder.name == "000000000008"
    obs, key = jnp.array([0.1, -2.0, 3.0]), jax.random.PRNGKey(0)
    np.testing.assert_array_equal(checkpoint.load_policy(folder)(obs, key)[0], policy(obs, key)[0])
    np.testing.assert_array_equal(
        checkpoint.load_policy(tmp_path)(obs, key)[0], policy(obs, key)[0]
    )


def test_the_training_state_comes_back_bit_for_bit(tmp_path):
    folder, _ = save(tmp_path)
    found = checkpoint.load_training_state(folder, STATE)
    assert jax.tree.structure(found) == jax.tree.structure(STATE)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(STATE), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


def test_the_newest_complete_checkpoint_is_found_and_the_same_step_is_replaced(tmp_path):
    save(tmp_path, step=8)
    save(tmp_path, step=16)
    (tmp_path / "000000000024").mkdir()  # no checkpoint
    with pytest.warns(UserWarning, match="000000000024: it has no manifest.json"):
        assert checkpoint.latest(tmp_path).name == "000000000016"
    _, policy = save(tmp_path, step=16, scale=3.0)
    obs, key = jnp.ones(3), jax.random.PRNGKey(0)
    found = checkpoint.load_policy(tmp_path / "000000000016")
    np.testing.assert_array_equal(found(obs, key)[0], policy(obs, key)[0])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "000000000008",
        "000000000016",
        "000000000024",
    ]


def test_a_failed_save_leaves_the_old_checkpoint_and_nothing_else(tmp_path, monkeypatch):
    _, policy = save(tmp_path)
    save_tree = ocp.PyTreeCheckpointer.save

    def fail(self, path, *args, **kwargs):
        if "training_state" in str(path):
            raise OSError("disk full")
        return save_tree(self, path, *args, **kwargs)

    monkeypatch.setattr(ocp.PyTreeCheckpointer, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save(tmp_path, scale=3.0)
    assert [entry.name for entry in tmp_path.iterdir()] == ["000000000008"]
    np.testing.assert_array_equal(
        checkpoint.load_policy(tmp_path)(jnp.ones(3), None)[0], policy(jnp.ones(3), None)[0]
    )


@pytest.mark.parametrize(
    "other",
    [
        {"updates": jnp.int32(7)},
        {**STATE, "weights": [jnp.arange(4.0), jnp.ones(2, bool)]},
        {**STATE, "updates": jnp.float32(7)},
    ],
    ids=["fewer arrays", "another shape", "another dtype"],
)
def test_the_state_of_another_training_is_refused(tmp_path, other):
    save(tmp_path)
    with pytest.raises(ValueError, match="must hold this training's state"):
        checkpoint.load_training_state(tmp_path, other)


def test_a_missing_checkpoint_is_a_clear_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="There must be a SHAC checkpoint"):
        checkpoint.load_policy(tmp_path)


def test_every_changed_missing_or_added_file_is_noticed(tmp_path):
    folder, _ = save(tmp_path)
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert len(files) > 5
    assert checkpoint.damage(folder) is None
    for file in files:
        content = file.read_bytes()
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 1
        for damaged in (bytes(flipped), content[:-2], None):
            file.unlink() if damaged is None else file.write_bytes(damaged)
            assert checkpoint.damage(folder) is not None, file
            file.write_bytes(content)
    (folder / "more").write_text("")
    assert checkpoint.damage(folder) == "its file more is not what was written"


def test_a_damaged_checkpoint_is_skipped_with_a_warning_and_never_loaded(tmp_path):
    first, policy = save(tmp_path, step=8)
    second, _ = save(tmp_path, step=16, scale=3.0)
    (second / "training_state" / "_METADATA").write_text("{}")
    assert checkpoint.newest(tmp_path) == (
        first,
        {second: "its file training_state/_METADATA is not what was written"},
    )
    obs, key = jnp.ones(3), jax.random.PRNGKey(0)
    with pytest.warns(UserWarning, match="000000000016.*000000000008 is taken"):
        found = checkpoint.load_policy(tmp_path)
    np.testing.assert_array_equal(found(obs, key)[0], policy(obs, key)[0])
    with pytest.raises(ValueError, match="cannot be read: its file training_state/_METADATA"):
        checkpoint.load_policy(second)
    manifest = first / "manifest.json"
    manifest.write_text(manifest.read_text().replace("0", "1", 1))
    changed = "its manifest.json cannot be read (its content has changed since it was written)"
    assert checkpoint.damage(first) == changed
    manifest.write_text("[]")
    with pytest.raises(ValueError, match=r"No checkpoint in .* can be read"):
        checkpoint.load_policy(tmp_path)


def rows(*returns):
    return [{"interactions": 8 * i, "eval/return": value} for i, value in enumerate(returns)]


def test_the_history_comes_back(tmp_path):
    history = [{"interactions": 8, "eval/return": -0.1, "training/loss": float("inf")}]
    save(tmp_path, history=history)
    assert checkpoint.load_history(tmp_path) == history


def test_old_checkpoints_are_deleted_but_not_the_best_nor_those_of_others(tmp_path):
    history = rows(9.0, 1.0, 4.0, float("nan"), 2.0, 4.0, 3.0)
    for step in (3, 8, 16, 24, 32, 40, 48, 56):
        (tmp_path / f"{step:012d}").mkdir()
    checkpoint.prune(tmp_path, history, keep=0)
    assert len(list(tmp_path.iterdir())) == 8
    checkpoint.prune(tmp_path, history, keep=2)
    # The first of the best ones; 3 and 56 are of another training.
    assert sorted(int(folder.name) for folder in tmp_path.iterdir()) == [3, 16, 40, 48, 56]


def test_of_several_runs_the_checkpoint_with_the_best_median_is_kept(tmp_path):
    history = rows([0.0, 0.0, 0.0], [9.0, 0.0, 0.0], [3.0, 3.0, 0.0], [1.0, 1.0, 1.0])
    for step in (8, 16, 24):
        (tmp_path / f"{step:012d}").mkdir()
    checkpoint.prune(tmp_path, history, keep=1)
    assert sorted(int(folder.name) for folder in tmp_path.iterdir()) == [16, 24]


def test_the_best_can_be_chosen_and_errors_say_what_there_is(tmp_path):
    with pytest.raises(FileNotFoundError, match="must be checkpoints"):
        checkpoint.choose(tmp_path, "best")
    history = rows(9.0, 1.0, 0.5)
    first, _ = save(tmp_path, step=8, history=history[:2])
    save(tmp_path, step=16, history=history)
    assert checkpoint.choose(tmp_path, "best") == checkpoint.choose(tmp_path, 8) == first
    with pytest.raises(ValueError, match="'last', 'best' or one of 8, 16, but it is 4"):
        checkpoint.choose(tmp_path, 4)
    (first / "history.json").write_text("[]")
    with pytest.raises(ValueError, match=r"of 8 inter.* history.json is not what .* can be 16"):
        checkpoint.choose(tmp_path, "best")
