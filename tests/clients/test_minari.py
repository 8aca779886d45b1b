"""Minari, data sets for offline learning: `pip install -e ".[clients,test]"`."""

import numpy as np
import pytest
from clients import one, require_safe

pytestmark = pytest.mark.clients
PACKAGES = ("minari",)


def test_a_data_set_is_collected_loaded_and_its_environment_recovered(count, monkeypatch, tmp_path):
    import minari

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    env = minari.DataCollector(one(), record_infos=True)
    for seed in range(4):
        env.reset(seed=seed)
        env.action_space.seed(seed)
        truncated = False
        while not truncated:
            truncated = env.step(env.action_space.sample())[3]
    env.create_dataset("safe/pendulum-v0", algorithm_name="random")
    require_safe(count, 240)
    data = minari.load_dataset("safe/pendulum-v0")
    assert data.total_steps == 240
    for episode in data.iterate_episodes():
        record = episode.infos["safeguard"]
        assert (record["inside"] == 1).all()
        assert (record["action"] != record["requested"]).any()
        assert (episode.infos["cost"] == 0).all()
    again = data.recover_environment()
    observation, _ = again.reset(seed=0)
    np.testing.assert_array_equal(observation, data[0].observations[0])
