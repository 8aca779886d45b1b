"""A plant that is commanded by its virtual inputs: its actions are accelerations v, and what brings
them about, torques, is computed in each step.

The action that is executed at x is that of v, kappa(x, v) = P(x) v + p(x), as float32 computes it
and clipped to the limits of the actuators. The step is the plant's own step with this action, so
that there is no second formula of the plant.
"""

import jax
import jax.numpy as jnp

from .._errors import ModelError
from .._gate import Array, instance_of
from ..sets import Box
from ._model import Model
from ._virtual import InVirtualInputs


class Commanded(Model):
    """A plant whose actions are its virtual inputs: x' = f(x, kappa(x, v), w), affine in (v, w)
    wherever the actuators bring v about.

    Args:
        plant: A model with virtual inputs, such as a `Mechanical` or a `Cascade`: d of them.
        inputs: V, the box of the virtual inputs that can be commanded, in natural units, dimension
            d. It is the action box of this model, whose actions in [-1, 1]^d are mapped onto it.

    Attributes:
        plant: The plant.

    Raises:
        TypeError: If an argument is something else.
        ModelError: If the plant has no virtual inputs, or the box has another dimension.

    Example:
        >>> from safe_wrappers.envs import get_model
        >>> arm = Commanded(get_model("safe_arm"), Box.symmetric([5.0, 8.0]))  # rad/s^2
        >>> arm.plant_action(jnp.zeros(4), jnp.zeros(2))  # N m: it hangs and stays
        Array([0., 0.], dtype=float32)
    """

    def __init__(self, plant: Model, inputs: Box):
        instance_of("plant", plant, Model)
        instance_of("inputs", inputs, Box, hint="write `Box.symmetric([5.0, 8.0])`")
        if plant.virtual is None:
            raise ModelError(
                f"The virtual inputs of the model {plant.name!r} are its actions, so there is "
                "nothing else to command. Write the plant as a `Mechanical` or a `Cascade`."
            )
        self._set("plant", plant)
        super().__init__(
            f"{plant.name}, commanded by virtual inputs",
            self._step,
            plant.state_size,
            plant.action_size,
            plant.disturbance_size,
            parameters=plant.parameters,
            action_box=inputs,
            state_names=plant.state_names,
            units={name: plant.units[name] for name in plant.state_names if name in plant.units},
        )

    plant: Model

    def _step(self, x: jax.Array, command: jax.Array, disturbance: jax.Array) -> jax.Array:
        return self.plant.unit_step(x, self._executed(x, command), disturbance)

    def _executed(self, x: jax.Array, command: jax.Array) -> jax.Array:
        """The plant's action in [-1, 1]^d for a command in natural units, shape (d,)."""
        action = InVirtualInputs(self.plant).actions(x, command)
        # Where v can be brought about, clipping takes back what rounding put beyond the limits. At
        # a state that is not known the actuators rest in the middle.
        return jnp.where(jnp.isfinite(action), jnp.clip(action, -1.0, 1.0), 0.0)

    def executed(self, x: jax.Array, action: Array) -> jax.Array:
        """The plant's action in [-1, 1]^d that is executed at x for a command in [-1, 1]^d, shape
        (d,).
        """
        return self._executed(x, self.natural_action(action))

    def plant_action(self, x: jax.Array, command: jax.Array) -> jax.Array:
        """The plant's action that is executed at x for a command, both in natural units: torques
        for accelerations. Shapes (n,), (d,) -> (d,). It lies within the actuators' limits.
        """
        return self.plant.natural_action(self._executed(x, command))

    def actuated(self, x: jax.Array, action: Array) -> jax.Array:
        return self.plant.natural_action(self.executed(x, action))

    def commands(self, plant: Model) -> bool:
        """Whether this is the library's own step of exactly this plant."""
        own = type(self) is Commanded and self.step == self._step
        return own and self.plant is plant


def moves(model: Model, plant: Model) -> bool:
    """Whether a model is this very plant, or the library's own step of it, commanded by virtual
    inputs.
    """
    return model is plant or (isinstance(model, Commanded) and model.commands(plant))
