"""Environments on a certified safe set, stepped by the model or by Brax's physics."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from brax import base, kinematics
from brax.generalized import pipeline as generalized
from brax.mjx import pipeline as mjx

from safe_wrappers._gate import one_of
from safe_wrappers._own import own
from safe_wrappers.certificates import Certificate, Claim
from safe_wrappers.models import Mechanical
from safe_wrappers.safe_actions import Commands, ModelSystem

from ._assets import load_system
from ._model_env import Disturbance, ModelEnv, joint_state
from ._physics import DisturbedPhysics

BACKENDS = ("closed_form", "generalized", "mjx")
_ROUNDING = 1e-5
INITIAL_STATES = ("uniform", "generators")


class CertifiedEnv(ModelEnv):
    """A Brax environment whose step is a model with a certified safe set.

    Options, metrics and info are those of `ModelEnv`, and:

    Args:
        certificate: The certificate of the safe set, or a claim. Its model is what
            `backend="closed_form"` steps, and its W is what disturbs it.
        mjcf_file: Name of the MJCF asset: the same system for Brax's physics and for rendering. Its
            actuators are the actions, in natural units, followed by the disturbances; `sys` shows
            the actions alone. None: the model alone, `backend="closed_form"`, `sys` is None.
        physics: Whether Brax's physics may step the asset; else it is for rendering, and
            `backend="closed_form"`.
        backend: "closed_form" (exact, fastest), "generalized" (Brax physics, differentiable) or
            "mjx" (forward only).
        disturbance: "uniform" in W, "none", "worst_case" (the vertex of W that brings the next
            state nearest to leaving S, chosen after the action) or a function (key, x, a) -> w with
            values in W, where a is the executed action in natural units.
        initial_states: "uniform" by volume in the safe set, or "generators" (uniform in the space
            of the claim's generators).
        commands: "actions", or "virtual" for a plant with virtual inputs, as of `ModelSystem`: then
            agents command these (accelerations), and in each step the actuators do what brings them
            about, which is the action that `reward` and `disturbance` get.

    Raises:
        ValueError: If an option is unknown; the message lists the valid ones.
        CertificateError: If `commands="virtual"` and the set is not kept in virtual inputs, one for
            each block.
    """

    system: ModelSystem

    def __init__(
        self,
        certificate: Certificate | Claim,
        mjcf_file: str | None = None,
        *,
        physics: bool = True,
        backend: str = "closed_form",
        disturbance: Disturbance = "uniform",
        initial_states: str = "uniform",
        commands: Commands = "actions",
    ):
        off = (
            " The maximal-coordinate backends step another system: their step differs by up to "
            "twice the safe set's size."
            if backend in ("spring", "positional")
            else ""
        )
        self._backend = one_of(
            "backend", backend, BACKENDS if mjcf_file and physics else BACKENDS[:1], why=off
        )
        system = ModelSystem(certificate, state=joint_state, commands=commands)
        super().__init__(system.model, system, system.disturbance_set, disturbance=disturbance)
        one_of("initial_states", initial_states, INITIAL_STATES)
        if initial_states == "generators" and system.generators is None:
            raise ValueError(
                "`initial_states='generators'` needs a safe set with generators, but "
                f"{certificate!r} has none; use 'uniform'."
            )
        self._sample_initial = (
            system.sample_initial if initial_states == "uniform" else system.sample_generators
        )
        self._physics = None
        if mjcf_file and self._backend == "closed_form":
            self._sys = load_system(mjcf_file, actuators=self.action_size)
        elif mjcf_file:
            self._physics = DisturbedPhysics(mjcf_file, self.action_size)
            self._sys = self._physics.sys

    def state_bound(self) -> np.ndarray:
        """What |x| is at most, in each component, in the safe set, with room for rounding.

        Shape (n,).
        """
        safe = self.system.safe_state_set
        return (1 + _ROUNDING) * np.array(
            [max(safe.support(axis), safe.support(-axis)) for axis in np.eye(safe.dim)]
        )

    def sample_initial(self, key: jax.Array) -> jax.Array:
        return self._sample_initial(key)

    @own
    def _pipeline_init(self, x: jax.Array) -> Any:
        if self.sys is None:
            return super()._pipeline_init(x)
        q, qd = jnp.split(x, [(len(x) + 1) // 2])
        if self._backend == "closed_form":
            return base.State(q, qd, *kinematics.forward(self.sys, q, qd), None)
        pipeline = generalized if self._backend == "generalized" else mjx
        return pipeline.init(self._physics(self.sys), q, qd)  # pyright: ignore[reportOptionalCall]

    @own
    def _pipeline_step(
        self, pipeline_state: Any, x: jax.Array, action: jax.Array, w: jax.Array
    ) -> Any:
        if self._backend == "closed_form":
            return super()._pipeline_step(pipeline_state, x, action, w)
        pipeline = generalized if self._backend == "generalized" else mjx
        plant = self.system.claim.model
        if isinstance(plant, Mechanical):
            # Accelerations are its disturbances, torques those of the asset's actuators.
            w = plant.disturbing_torques(x, w)
        inputs = jnp.concatenate([self.model.actuated(x, action), w])
        stepped = pipeline.step(self._physics(self.sys), pipeline_state, inputs)  # pyright: ignore[reportOptionalCall]
        # Where 64-bit types are switched on, the numbers of the asset are float64; the state stays
        # what it was.
        return jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), stepped, pipeline_state)

    @own
    @property
    def backend(self) -> str:
        return self._backend
