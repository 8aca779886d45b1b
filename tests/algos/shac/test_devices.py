"""Environments spread over devices, simulated on the processor, and over two processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers.algos import shac
from safe_wrappers.algos.shac.devices import Devices

PROGRAM = Path(__file__).with_name("mesh_program.py")
REPOSITORY = Path(__file__).parents[3]


def start(output, updates, *more, devices):
    """Starts the program; a resumed training finds what the first one has compiled."""
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": f"{output}.compiled",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }
    # Into a file: a process that nobody listens to must not wait for its listener.
    printed = Path(f"{output}.{'-'.join(map(str, more[1:]))}.txt")
    with printed.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, PROGRAM, output, str(updates), *map(str, more)],
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    return process, printed


def finish(process, printed):
    """What the program has printed."""
    try:
        process.wait(timeout=400)
    finally:
        process.kill()
    assert process.returncode == 0, printed.read_text()[-2000:]
    return printed.read_text()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """50 updates on one device, and on 8 of one process."""
    output = tmp_path_factory.mktemp("devices") / "simulated"
    printed = finish(*start(output, 50, devices=8))
    return np.load(f"{output}.npz"), printed


def of(found, training):
    """The parameters of one of the trainings, and its counts."""
    return {
        name.removeprefix(f"{training}/"): found[name]
        for name in found.files
        if name.startswith(f"{training}/")
    }


def assert_same_training(found, wanted):
    assert set(found) == set(wanted)
    assert len(wanted) > 20
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_eight_devices_train_as_one_does(simulated):
    found, printed = simulated
    assert "reports [0, 1600, 3200]" in printed
    assert_same_training(of(found, "mesh"), of(found, "one"))


@pytest.mark.slow
def test_a_training_over_devices_is_resumed_where_it_was(simulated):
    found, _ = simulated
    for name, value in of(found, "mesh").items():
        np.testing.assert_array_equal(of(found, "resumed")[name], value)


@pytest.mark.slow
def test_two_processes_train_as_one_device_does_and_the_first_one_writes(simulated, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    output = tmp_path / "two"
    processes = [start(output, 50, address, 2, i, devices=1) for i in range(2)]
    printed = [finish(*process) for process in processes]
    assert "reports [0, 1600, 3200]" in printed[0]
    assert "reports []" in printed[1]
    found = np.load(f"{output}.npz")
    assert_same_training(of(found, "mesh"), of(simulated[0], "one"))
    for name, value in of(found, "mesh").items():
        np.testing.assert_array_equal(of(found, "resumed")[name], value)
    params = shac.checkpoint.load(f"{output}.checkpoints")
    for i, leaf in enumerate(jax.tree.leaves(params)):
        np.testing.assert_array_equal(leaf, found[f"mesh/{i}"])


@pytest.mark.slow
def test_a_mesh_of_one_device_trains_as_none_does(line, tiny):
    mesh = jax.make_mesh((1,), ("anything",))
    options = {**tiny, "num_evals": 2}
    alone, spread = shac.train(line, **options), shac.train(line, **options, mesh=mesh)
    for a, b in zip(jax.tree.leaves(alone.params), jax.tree.leaves(spread.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert spread.metrics["training/episodes"] == alone.metrics["training/episodes"]
    assert spread.metrics["eval/episode_reward"] == pytest.approx(
        float(alone.metrics["eval/episode_reward"]), rel=1e-5
    )


def test_reductions_over_devices_are_those_of_all_numbers():
    """By `jax.vmap`, which names an axis as a mesh does."""
    mesh = jax.make_mesh((1,), ("envs",))
    devices = Devices(mesh)
    numbers = jnp.array([[1.0, 2.0], [3.0, 6.0]])

    def reduced(own):
        return (
            devices.mean({"a": own, "b": own[0]}),
            devices.total(own),
            devices.least(own),
            devices.all(own[0] > 0.5),
            devices.all(own[0] > 1.5),
        )

    mean, total, least, yes, no = jax.vmap(reduced, axis_name="envs")(numbers)
    assert mean["a"].tolist() == [[2.0, 4.0]] * 2
    assert mean["b"].tolist() == [2.0] * 2
    assert total.tolist() == [[4.0, 8.0]] * 2
    assert least.tolist() == [[1.0, 2.0]] * 2
    assert yes.all()
    assert not no.any()


def test_environments_that_cannot_be_shared_out_are_refused(line, monkeypatch):
    class Eight:
        count = 8

    import importlib

    planner = importlib.import_module("safe_wrappers.algos.shac.plan")
    monkeypatch.setattr(planner, "Devices", lambda mesh: Eight())
    with pytest.raises(ValueError, match="take `num_envs=16`"):
        shac.train(line, 64, 8, num_envs=9)


@pytest.mark.parametrize("value", ["envs", 8, "two axes"])
def test_a_mesh_has_one_axis(line, value):
    mesh = jax.make_mesh((1, 1), ("a", "b")) if value == "two axes" else value
    with pytest.raises(TypeError, match=r"`mesh`.*a mesh with one axis"):
        shac.train(line, 64, 8, mesh=mesh)
