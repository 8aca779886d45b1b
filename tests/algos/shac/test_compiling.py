import jax
import jax.numpy as jnp
import pytest

from safe_wrappers.algos.shac import compiling


def test_a_program_that_is_ready_later_computes_the_same():
    program = compiling.Compiling(jax.jit(lambda x: 2 * x).lower(jnp.ones(3)))
    assert program(jnp.arange(3.0)).tolist() == [0.0, 2.0, 4.0]
    assert program.wait() is program.wait()


def test_a_program_that_cannot_be_compiled_says_so_when_it_is_called():
    class Broken:
        def compile(self):
            raise ValueError("no such processor")

    program = compiling.Compiling(Broken())
    with pytest.raises(ValueError, match="no such processor"):
        program(1.0)
