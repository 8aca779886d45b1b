"""Tests of GPUs use the device that JAX chooses."""

import jax
import jax.numpy as jnp
import pytest


@pytest.mark.gpu
def test_the_cpu_cannot_be_asked_for_by_name():
    with pytest.raises(RuntimeError, match="Unknown backend cpu"):
        jax.devices("cpu")
    assert jnp.arange(3).sum() == 3


def test_other_tests_can():
    assert jax.devices("cpu")
