import copy
import dataclasses
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers._pytree import frozen_pytree, static_field


@frozen_pytree
class Scaled:
    factor: jax.Array
    offset: jax.Array
    mode: str = static_field(default="plain")

    def __post_init__(self):
        if jnp.ndim(self.factor) != 0:
            raise ValueError("factor must be a scalar")

    def __call__(self, x):
        return self.factor * x + (self.offset if self.mode == "plain" else 0.0)


def test_flattening_keeps_data_static_fields_and_names():
    tree = Scaled(2.0, 3.0, mode="bare")
    leaves, treedef = jax.tree.flatten(tree)
    again = jax.tree.unflatten(treedef, leaves)
    assert leaves == [2.0, 3.0]
    assert (again.factor, again.offset, again.mode) == (2.0, 3.0, "bare")
    assert [
        jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)
    ] == [".factor", ".offset"]
    assert treedef != jax.tree.structure(Scaled(2.0, 3.0))


def test_validation_runs_for_people_and_not_for_jax():
    with pytest.raises(ValueError, match="must be a scalar"):
        Scaled(np.ones(2), 0.0)
    tree = Scaled(2.0, 3.0)
    with pytest.raises(ValueError, match="must be a scalar"):
        dataclasses.replace(tree, factor=np.ones(2))
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), tree, Scaled(4.0, 5.0))
    assert stacked.factor.shape == (2,)
    assert jax.tree.map(lambda leaf: None, tree).factor is None
    assert jax.vmap(lambda s: s(1.0))(stacked).tolist() == [5.0, 9.0]
    assert jax.vmap(lambda s, x: s(x), in_axes=(None, 0))(tree, jnp.arange(2.0)).tolist() == [
        3.0,
        5.0,
    ]


def test_it_is_frozen_and_compared_by_identity():
    tree = Scaled(2.0, 3.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        tree.factor = 1.0  # pyright: ignore[reportAttributeAccessIssue]
    assert tree != Scaled(2.0, 3.0)
    assert hash(tree) == hash(tree)


@pytest.mark.parametrize(
    "through",
    [copy.deepcopy, lambda tree: pickle.loads(pickle.dumps(tree))],
    ids=["deepcopy", "pickle"],
)
def test_it_can_be_copied(through):
    again = through(Scaled(np.float32(2.0), np.float32(3.0), mode="bare"))
    assert (again.factor, again.offset, again.mode) == (2.0, 3.0, "bare")


def test_jit_traces_once_per_static_value():
    traces = []

    @jax.jit
    def apply(s, x):
        traces.append(s.mode)
        return s(x)

    assert [float(apply(Scaled(f, 1.0), 2.0)) for f in (1.0, 2.0, 3.0)] == [3.0, 5.0, 7.0]
    assert float(apply(Scaled(1.0, 1.0, mode="bare"), 2.0)) == 2.0
    assert traces == ["plain", "bare"]


def test_gradients_have_the_structure_of_the_tree():
    gradient = jax.grad(lambda s: s(5.0))(Scaled(2.0, 3.0))
    assert isinstance(gradient, Scaled)
    assert (float(gradient.factor), float(gradient.offset)) == (5.0, 1.0)
