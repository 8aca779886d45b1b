"""Processes: a fork of one in which JAX has run is refused, and nothing hangs."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

import safe_wrappers as sw
from safe_wrappers import _fork

PROGRAM = """
import multiprocessing, os, sys
import gymnasium, numpy as np
import safe_wrappers as sw

if __name__ == "__main__":
    options = {"vectorization_mode": "async", "vector_kwargs": {"context": sys.argv[1]}}
    env = gymnasium.make_vec("safe_wrappers:SafeWrappers/Pendulum-v0", 2, **options)
    try:
        env.reset(seed=0)
        _, _, _, _, info = env.step(np.ones((2, 1), np.float32))
        print("inside", info["safeguard"]["inside"].tolist(), flush=True)
    except sw.ForkedProcessError as error:
        print("refused", error, flush=True)
    os._exit(0)
"""


WRAPPED = """
import os, sys
import gymnasium
import safe_wrappers as sw
from pendulum_v1 import set_state, system

def make():
    env = gymnasium.make("Pendulum-v1")
    guard = sw.BoundaryProjection()
    return sw.GymSafeguardWrapper(env, guard, system=system(), set_state=set_state)

try:
    gymnasium.vector.AsyncVectorEnv([make] * 2, context=sys.argv[1]).reset(seed=0)
except sw.ForkedProcessError as error:
    print("refused", error, flush=True)
os._exit(0)
"""


def run(tmp_path, context, code=PROGRAM):
    program, output = tmp_path / "program.py", tmp_path / "output.txt"
    program.write_text(code)
    with output.open("w") as file:
        subprocess.run(
            [sys.executable, "-W", "ignore", program, context],
            stdout=file,
            stderr=subprocess.DEVNULL,
            timeout=300,
            check=True,
            env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    return output.read_text()


def test_an_inherited_jax_is_refused_and_the_parent_is_told(tmp_path):
    found = run(tmp_path, "fork")
    assert "refused" in found
    assert "'context': 'forkserver'" in found


def test_a_wrapped_environment_is_refused_as_well(tmp_path):
    """Whoever used JAX in the parent: here it only constructed a system."""
    found = run(tmp_path, "fork", WRAPPED)
    assert "refused" in found


def test_a_fork_server_works(tmp_path):
    assert "inside [1.0, 1.0]" in run(tmp_path, "forkserver")


def test_a_process_that_was_forked_before_jax_has_run_may_use_it(monkeypatch):
    monkeypatch.setattr(_fork, "_started", False)
    monkeypatch.setattr(_fork, "_inherited", False)
    monkeypatch.setitem(sys.modules, "jax._src.xla_bridge", None)
    _fork._before()
    _fork._in_child()
    _fork.require_own_backend()


def test_jax_says_whether_it_has_run(monkeypatch):
    """By a function that is none of its public ones; should it go, this test tells."""
    monkeypatch.setattr(_fork, "_started", False)
    monkeypatch.setattr(_fork, "_inherited", False)
    jax.block_until_ready(jnp.zeros(1) + 1)
    _fork._before()
    _fork._in_child()
    with pytest.raises(sw.ForkedProcessError):
        _fork.require_own_backend()
