"""Environments on a certified safe set, and what comes with them: certificates, assets, and Brax's
physics.
"""

import importlib.resources
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from brax import base, kinematics
from brax.generalized import pipeline as generalized
from brax.io import mjcf
from brax.mjx import pipeline as mjx

from safe_wrappers.certificates import Certificate, Claim
from safe_wrappers.models import Model
from safe_wrappers.safe_actions import ModelSystem

from ._env import Disturbance, ModelEnv, joint_state, one_of, own

BACKENDS = ("closed_form", "generalized", "mjx")
_ROUNDING = 1e-5
INITIAL_STATES = ("uniform", "generators")


def asset(name: str):
    """A file of the package's assets."""
    return importlib.resources.files("safe_wrappers.envs") / "assets" / name


def certificate_of(model: Model, safe_set: str) -> Certificate:
    """The shipped certificate `safe_set` of a bundled model, or the certificate of the model in the
    file `safe_set` (a path ending in .json).

    Raises:
        ValueError: If there is no such set.
        CertificateError: If the file is damaged, or about another model.
    """
    if safe_set.endswith(".json"):
        return Certificate.load(safe_set, model)
    one_of(
        "safe_set",
        safe_set,
        certificate_names(model.name),
        why=" A path to a certificate file must end in .json.",
    )
    return Certificate.load(asset(f"{model.name}.{safe_set}.json"), model)


def certificate_names(system: str) -> tuple[str, ...]:
    """Names of the shipped safe sets of a bundled system."""
    files = (importlib.resources.files("safe_wrappers.envs") / "assets").iterdir()
    return tuple(
        sorted(
            file.name.split(".")[1]
            for file in files
            if file.name.startswith(f"{system}.") and file.name.endswith(".json")
        )
    )


def load_system(mjcf_file: str) -> base.System:
    """The Brax system of an MJCF asset, for rendering and for Brax's physics."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Brax System, piplines and environments are not actively"
        )
        return mjcf.loads(asset(mjcf_file).read_text())


class CertifiedEnv(ModelEnv):
    """A Brax environment whose step is a model with a certified safe set.

    Options, metrics and info are those of `ModelEnv`, and:

    Args:
        certificate: The certificate of the safe set, or a claim. Its model is what
            `backend="closed_form"` steps, and its W is what disturbs it.
        mjcf_file: Name of the MJCF asset: the same system for Brax's physics and for rendering. Its
            actuators are the actions followed by the disturbances. None: the model alone,
            `backend="closed_form"`, `sys` is None.
        physics: Whether Brax's physics may step the asset; else it is for rendering, and
            `backend="closed_form"`.
        backend: "closed_form" (exact, fastest), "generalized" (Brax physics, differentiable) or
            "mjx" (forward only).
        disturbance: "uniform" in W, "none", "worst_case" (the vertex of W that brings the next
            state nearest to leaving S, chosen after the action) or a function (key, x, a) -> w with
            values in W.
        initial_states: "uniform" by volume in the safe set, or "generators" (uniform in the space
            of the claim's generators).

    Raises:
        ValueError: On an unknown option; the message names the valid ones.
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
        system = ModelSystem(certificate, state=joint_state)
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
        self.sys = load_system(mjcf_file) if mjcf_file else None

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
        return pipeline.init(self.sys, q, qd)

    @own
    def _pipeline_step(
        self, pipeline_state: Any, x: jax.Array, action: jax.Array, w: jax.Array
    ) -> Any:
        if self._backend == "closed_form":
            return super()._pipeline_step(pipeline_state, x, action, w)
        pipeline = generalized if self._backend == "generalized" else mjx
        return pipeline.step(self.sys, pipeline_state, jnp.concatenate([action, w]))

    @property
    def backend(self) -> str:
        return self._backend
