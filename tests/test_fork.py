"""Processes: a fork of one in which JAX has run is refused, and nothing hangs."""

import os
import subprocess
import sys

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


def run(tmp_path, context):
    program, output = tmp_path / "program.py", tmp_path / "output.txt"
    program.write_text(PROGRAM)
    with output.open("w") as file:
        subprocess.run(
            [sys.executable, "-W", "ignore", program, context],
            stdout=file,
            stderr=subprocess.DEVNULL,
            timeout=300,
            check=True,
            env={**os.environ, "JAX_PLATFORMS": "cpu"},
        )
    return output.read_text()


def test_an_inherited_jax_is_refused_and_the_parent_is_told(tmp_path):
    found = run(tmp_path, "fork")
    assert "refused" in found
    assert "'context': 'forkserver'" in found


def test_a_fork_server_works(tmp_path):
    assert "inside [1.0, 1.0]" in run(tmp_path, "forkserver")


def test_a_process_that_was_forked_before_jax_has_run_may_use_it(monkeypatch):
    monkeypatch.setattr(_fork, "_used", False)
    monkeypatch.setattr(_fork, "_inherited", False)
    _fork._forked()
    _fork.require_own_backend()
    _fork._forked()  # and its own children may not
    with pytest.raises(sw.ForkedProcessError):
        _fork.require_own_backend()
