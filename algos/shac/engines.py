"""How the program of a training is run: once, many times side by side, or over devices."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from .learner import Hyperparameters, TrainingState
from .plan import Plan
from .side_by_side import SideBySide

Epoch = Callable[[TrainingState, Hyperparameters, Any], tuple[TrainingState, Any]]


class OneRun:
    """One training; over a mesh, its environments are spread over the devices.

    `num_runs` is None: its numbers have shape ().
    """

    num_runs = None

    def __init__(self, plan: Plan, seed: int):
        self.plan, self.learner, self.devices = plan, plan.learner, plan.learner.devices
        # Of the host, so that they do not depend on one device of a mesh.
        self.key, self.eval_key = np.asarray(jax.random.split(jax.random.PRNGKey(seed)))
        self.hyperparameters = plan.hyperparameters
        if self.devices.mesh is not None:
            self.hyperparameters = jax.tree.map(np.asarray, self.hyperparameters)

    def init(self) -> TrainingState:
        """The state before the first update."""
        if self.devices.mesh is None:
            return jax.jit(self.learner.init)(self.key, self.hyperparameters)
        shapes = jax.eval_shape(self.learner.init, self.key, self.hyperparameters)
        init = jax.jit(self.learner.init, out_shardings=self.devices.shardings(shapes))
        return init(self.key, self.hyperparameters)

    def compile(self, state: TrainingState) -> Epoch:
        """The compiled program of epochs from states like this one."""
        epoch = self.learner.epoch
        if self.devices.mesh is not None:
            specs, whole = self.devices.specs(state), PartitionSpec()
            epoch = jax.shard_map(
                epoch,
                mesh=self.devices.mesh,
                in_specs=(specs, whole, whole),
                out_specs=(specs, whole),
                check_vma=False,
            )
        return jax.jit(epoch).lower(state, self.hyperparameters, np.int32(0)).compile()


class ManyRuns:
    """Trainings side by side; their numbers have shape (num_runs,), and arrays start with it.

    Args:
        plan: What they have in common.
        seeds: One per run.
        hyperparameters: Each of shape (num_runs,).
    """

    def __init__(self, plan: Plan, seeds: Sequence[int], hyperparameters: Hyperparameters):
        self.plan, self.learner, self.devices = plan, plan.learner, plan.learner.devices
        self.num_runs = len(seeds)
        keys = jnp.stack([jax.random.split(jax.random.PRNGKey(seed)) for seed in seeds])
        self.key, self.eval_key = keys[:, 0], keys[:, 1]
        self.hyperparameters = hyperparameters

    def init(self) -> TrainingState:
        """The states before the first update."""
        return jax.jit(jax.vmap(self.learner.init))(self.key, self.hyperparameters)

    def compile(self, state: TrainingState) -> Epoch:
        """The compiled program of epochs."""
        epoch = SideBySide(self.learner.epoch, self.num_runs, num_shared=1)
        epoch.compile(state, self.hyperparameters, jnp.int32(0)).wait()
        return epoch
