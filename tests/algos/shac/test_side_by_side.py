import jax
import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers.algos.shac import side_by_side


def test_runs_are_shared_out_over_processors_whatever_their_number(monkeypatch):
    monkeypatch.setattr(side_by_side, "_processors", lambda: 3)
    together = side_by_side.SideBySide(lambda x, y: {"sum": x["a"] + y}, num_runs=5, num_shared=1)
    assert [len(part[0]["a"]) for part in together._parts(({"a": np.arange(5)}, 2.0))] == [2, 2, 2]
    found = together({"a": jnp.arange(5.0)}, jnp.float32(2.0))["sum"]
    assert found.tolist() == [2.0, 3.0, 4.0, 5.0, 6.0]


@pytest.mark.parametrize("processors", [1, 2, 4])
def test_results_and_their_order_do_not_depend_on_the_processors(monkeypatch, processors):
    monkeypatch.setattr(side_by_side, "_processors", lambda: processors)
    together = side_by_side.SideBySide(lambda x, y: {"sum": jnp.sum(x["a"]) + y}, 4, num_shared=1)
    # From shapes alone.
    together.compile({"a": jax.ShapeDtypeStruct((4, 2), jnp.float32)}, jnp.float32(0))
    found = together({"a": jnp.arange(8.0).reshape(4, 2)}, jnp.float32(1))["sum"]
    assert found.tolist() == [2.0, 6.0, 10.0, 14.0]
