"""The environments of one training, spread over devices and hosts: what is reduced, and how."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding, PartitionSpec


@dataclasses.dataclass(frozen=True)
class Devices:
    """Where the environments of a training are: each device of a mesh with one axis has an equal
    share of them, and everything else is the same on all devices.

    The methods but `replicated`, `host` and `place` are for functions that run under
    `jax.shard_map` over the mesh, with `check_vma=False`: there the gradient of a device's own loss
    is that device's alone, and `mean` makes it the gradient of the mean loss.

    Args:
        mesh: The mesh; None for one device and no communication at all.
    """

    mesh: Mesh | None = None

    @property
    def axis(self) -> str | None:
        """The name of the mesh's axis."""
        return None if self.mesh is None else self.mesh.axis_names[0]

    @property
    def count(self) -> int:
        """Number of devices."""
        return 1 if self.mesh is None else self.mesh.size

    @property
    def is_writer(self) -> bool:
        """Whether this process is the one that evaluates, reports and writes."""
        return self.mesh is None or jax.process_index() == 0

    def indices(self, total: int) -> jax.Array:
        """Which of `total` environments are this device's, shape (total / count,)."""
        here = jnp.arange(total // self.count)
        return here if self.axis is None else jax.lax.axis_index(self.axis) * len(here) + here

    def mean(self, tree: Any) -> Any:
        """The means of all numbers of a tree over the devices, as one message."""
        if self.axis is None:
            return tree
        flat, unravel = ravel_pytree(tree)
        return unravel(jax.lax.pmean(flat, self.axis))

    def total(self, number: jax.Array) -> jax.Array:
        """The sum over the devices."""
        return number if self.axis is None else jax.lax.psum(number, self.axis)

    def least(self, number: jax.Array) -> jax.Array:
        """The smallest over the devices."""
        return number if self.axis is None else jax.lax.pmin(number, self.axis)

    def all(self, flag: jax.Array) -> jax.Array:
        """Whether a flag is set on all devices."""
        return flag if self.axis is None else self.least(flag.astype(jnp.int32)) > 0

    def shardings(self, state: Any) -> Any:
        """The shardings of a training state, as a tree prefix: only environments are spread."""
        mesh = self._mesh
        return jax.tree.map(lambda spec: NamedSharding(mesh, spec), self.specs(state))

    def specs(self, state: Any) -> Any:
        """As `shardings`, as `jax.shard_map` takes them."""
        everywhere = state._replace(**dict.fromkeys(state._fields, PartitionSpec()))
        return everywhere._replace(env_state=PartitionSpec(self.axis))

    def host(self, tree: Any) -> Any:
        """The arrays of a tree in this host's memory, whole: collected from all devices."""
        if self.mesh is None:
            return tree
        whole = jax.jit(lambda leaves: leaves, out_shardings=self.replicated)(tree)
        return jax.tree.map(lambda leaf: np.asarray(leaf.addressable_data(0)), whole)

    @property
    def replicated(self) -> NamedSharding:
        """The sharding of what is the same on all devices."""
        return NamedSharding(self._mesh, PartitionSpec())

    @property
    def _mesh(self) -> Mesh:
        assert self.mesh is not None
        return self.mesh

    def place(self, state: Any) -> Any:
        """A training state from this host's memory, which every host has whole, on the devices."""
        if self.mesh is None:
            return state

        def spread(part: Any, sharding: NamedSharding) -> Any:
            return jax.tree.map(
                lambda leaf: jax.make_array_from_callback(
                    np.shape(leaf), sharding, lambda index: np.asarray(leaf)[index]
                ),
                part,
            )

        return type(state)(*map(spread, state, self.shardings(state)))


ONE_DEVICE = Devices()
