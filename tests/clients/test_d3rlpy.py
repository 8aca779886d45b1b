"""d3rlpy, in an environment of its own, since it pins Gymnasium 1.0.0: `pip install -e ".[test]"
torch`, then `pip install --no-deps d3rlpy` and what else it asks for, `pip install
dataclasses-json gym h5py structlog`.
"""

import pytest
from clients import one, require_exits, require_safe

pytestmark = pytest.mark.pinned_clients
PACKAGES = ("d3rlpy", "gymnasium")


def train(env):
    import d3rlpy

    agent = d3rlpy.algos.SACConfig(batch_size=64).create(device="cpu:0")
    buffer = d3rlpy.dataset.create_fifo_replay_buffer(limit=2_000, env=env)
    agent.fit_online(
        env,
        buffer,
        n_steps=800,
        n_steps_per_epoch=400,
        random_steps=100,
        update_start_step=200,
        update_interval=8,
        logger_adapter=d3rlpy.logging.NoopAdapterFactory(),
        show_progress=False,
    )
    d3rlpy.metrics.EnvironmentEvaluator(env, n_trials=2)(agent, None)


def test_an_agent_stays_in_the_set(count):
    train(one())
    require_safe(count, 800)


def test_without_a_safeguard_it_leaves_it(count):
    train(one(safeguard=None))
    require_exits(count, 800)
