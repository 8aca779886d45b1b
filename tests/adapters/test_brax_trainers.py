"""What Brax's trainers need of JAX: the function that it removed, or its own."""

import jax
import numpy as np
import pytest

from safe_wrappers.adapters import enable_brax_trainers

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_each_device_gets_a_copy_along_a_new_axis(monkeypatch):
    monkeypatch.delattr(jax, "device_put_replicated", raising=False)
    enable_brax_trainers()
    devices = jax.local_devices()
    tree = {"a": np.arange(3.0, dtype=np.float32), "b": np.float32(2)}
    found = jax.device_put_replicated(tree, devices)
    assert found["a"].shape == (len(devices), 3)
    assert found["b"].shape == (len(devices),)
    added = jax.pmap(lambda leaf: leaf + 1)(found["a"])
    np.testing.assert_array_equal(added[0], tree["a"] + 1)


def test_what_is_there_stays(monkeypatch):
    there = object()
    monkeypatch.setattr(jax, "device_put_replicated", there, raising=False)
    enable_brax_trainers()
    assert jax.device_put_replicated is there
