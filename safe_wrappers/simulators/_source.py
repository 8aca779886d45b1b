"""What a surrogate is fitted to: steps of a model, or of an environment, at samples."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..models import ActionUnits, Model
from ._brax_plant import BraxPlant
from ._gym_plant import GymPlant
from ._mujoco_model import Touching
from ._playground_plant import PlaygroundPlant
from ._simulator_model import SimulatorModel

# States x (N, n), actions a (N, d) in [-1, 1]^d -> next states (N, n), float64, undisturbed, and
# which of the states are in contact, if that is known.
Steps = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, Touching | None]]
# x, a, disturbances w (N, k) and the largest |w_j| (k,) -> by how much the disturbances move the
# next state at most, if it is affine in w, and what the sampled w do beyond that; both (N, n).
Pushes = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A plant as the fit of a surrogate sees it.

    Attributes:
        name: Name of the plant.
        state_size: n.
        action_size: d.
        disturbance_size: k, of the plant's own disturbances.
        labels: Arguments of `Model` that a model of it inherits: action box, names, units,
            parameters.
        unit_action: The action in [-1, 1]^d, shape (d,), for one of the action box.
        steps: The function that takes steps of the plant.
        pushes: The function that says how its own disturbances move the state.
    """

    name: str
    state_size: int
    action_size: int
    disturbance_size: int
    labels: Mapping[str, Any]
    unit_action: Callable[[jax.Array], jax.Array]
    steps: Steps
    pushes: Pushes


def source_of(plant: Model | BraxPlant | PlaygroundPlant | GymPlant) -> Source:
    """The source that a plant is.

    Raises:
        TypeError: If it is none.
    """
    if isinstance(plant, BraxPlant | PlaygroundPlant):
        plant = plant.model
    if isinstance(plant, SimulatorModel):
        return _of_model(plant, _added(plant.disturbance_matrix))
    if isinstance(plant, Model):
        return _of_model(plant, _any_pushes(plant))
    if isinstance(plant, GymPlant):
        n = plant.state_size
        labels = {"action_box": plant.action_box, "state_names": plant.state_names}
        steps, pushes = plant.watched_steps, _added(np.eye(n))
        units = ActionUnits(plant.action_box)
        return Source(plant.name, n, plant.action_size, n, labels, units.unit, steps, pushes)
    raise TypeError(
        "`plant` must be a `Model`, a `BraxPlant`, a `PlaygroundPlant` or a `GymPlant`, whose "
        f"steps can be sampled, but it is a `{type(plant).__name__}`."
    )


def _of_model(model: Model, pushes: Pushes) -> Source:
    sizes = model.state_size, model.action_size, model.disturbance_size
    labels = {
        name: getattr(model, name)
        for name in ("parameters", "action_box", "state_names", "action_names", "units")
    }
    steps = functools.partial(_steps_of_model, model)
    return Source(model.name, *sizes, labels, model.unit_action, steps, pushes)


def _steps_of_model(
    model: Model, x: np.ndarray, a: np.ndarray
) -> tuple[np.ndarray, Touching | None]:
    still = jnp.zeros(model.disturbance_size)
    after = jax.jit(jax.vmap(lambda x, a: model.unit_step(x, a, still)))(x, a)
    watch = model.watch if isinstance(model, SimulatorModel) else None
    return np.asarray(after, np.float64), None if watch is None else watch(x)


def _added(matrix: np.ndarray) -> Pushes:
    """Of x' = f(x, a) + E w: known without a sample."""

    def pushes(x: np.ndarray, a: np.ndarray, w: np.ndarray, reach: np.ndarray):
        push = np.abs(np.asarray(matrix, np.float64)) @ reach
        return np.broadcast_to(push, x.shape), np.zeros(x.shape)

    return pushes


def _any_pushes(model: Model) -> Pushes:
    still = jnp.zeros(model.disturbance_size)

    def at(x, a, w):
        effect = jax.jacfwd(lambda w: model.unit_step(x, a, w))(still)
        moved = model.unit_step(x, a, w) - model.unit_step(x, a, still)
        return jnp.abs(effect), jnp.abs(moved - jnp.sum(effect * w, axis=1))

    def pushes(x: np.ndarray, a: np.ndarray, w: np.ndarray, reach: np.ndarray):
        effect, beyond = jax.jit(jax.vmap(at))(x, a, w)
        return np.asarray(effect, np.float64) @ reach, np.asarray(beyond, np.float64)

    return pushes
