"""Safeguards for Brax environments."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from brax import envs
from jax.core import Tracer
from numpy.typing import ArrayLike

from .._errors import CertificateError, WrapperOrderError
from .._own import own
from ..certificates import Guarantee, Guaranteed, guarantee_by_the_library
from ..safe_actions import Explanation, StepCheck, System
from ..safeguards import (
    GradientDiagnosis,
    Safeguard,
    SafeguardOutput,
    diagnose_gradient,
    safe_action,
)
from ._core import no_safe_start, require_parts, tested, unverified

_ATTEMPTS = 100


class SafeguardWrapper(envs.Env, Guaranteed):
    """Replaces every action by a safe one before the environment sees it, and lets the gradient
    through.

    For every state in S, every action and every disturbance in W the executed action lies in the
    action box and the next state lies in S, under the assumptions of the system's certificate
    (exact observation of the state, w in W, the environment's step equal to the model up to the
    stored rounding allowance). The last one is proved for the bundled environments with
    `backend="closed_form"`, which step the model itself. For every other environment it is tested
    at best: beforehand by `safe_wrappers.conform`, and at every step by `monitor`.

    It inherits `brax.envs.Env`, not `brax.envs.Wrapper`, and is its own `unwrapped`: wrappers that
    step `env.unwrapped`, such as Brax's domain randomisation, cannot step around it.

    Args:
        env: A single environment, without any Brax wrapper around it: this wrapper must be
            innermost.
        safeguard: How unsafe actions are mapped to safe ones.
        system: The plant's model and safe set. Default: `env.system`.
        reset_to: (x, key) -> the environment's state at x: episodes then start at random in the
            safe set, as those of an environment with a `system` of its own do. Without it, resets
            of the environment that end outside are drawn again, up to 100 times.
        regularisation: c >= 0; subtracts c |a_s - a|^2 (a the sanitised request) from the reward.
        diagnostics: Whether to report what the safeguard does to the gradient; see
            `diagnose_gradient`. Off, it costs nothing.
        monitor: Whether to report which steps the model and W do not explain; see
            `StepCheck`. Off, it costs nothing. It has no derivative.

    Raises:
        WrapperOrderError: If `env` is wrapped or safeguarded already.
        CertificateError: If there is no system, or none that a monitor can compare steps with, on
            an attempt to replace the environment's physics (`sys`), or if no reset started in the
            safe set (inside jit, where nothing can be raised, `info["safeguard"]["inside"]` is 0
            then).
        ValueError: If `regularisation` is negative or not finite.

    Metrics:
        safeguard/intervention_per_step: 1 if the request was outside the safe action set. Brax
            reports means of `_per_step`.
        safeguard/distance_per_step: |a_s - a|.
        safeguard/infeasible_per_step: 1 if no certified safe action existed (never on S).
        safeguard/fallback_per_step: 1 if the anchor was executed.
        safeguard/left_set_per_step: 1 if the next state lies outside S.
        safeguard/task_reward: The reward without regularisation.

        With `diagnostics`, of the Jacobian of the executed action w.r.t. the requested one (on
        reset those of the identity):
        safeguard/rank_per_step: Its rank.
        safeguard/lost_gradient_per_step: The expected share of the gradient's squared length that
            is lost.
        safeguard/smallest_singular_value_per_step, safeguard/largest_singular_value_per_step: As
            they say.

        With `monitor`:
        safeguard/unmodelled_per_step: 1 if no disturbance in W explains the step up to the system's
            rounding allowance eps, so that the guarantee does not cover it (0 on reset).

    Info:
        info["safeguard"]: requested, action, intervened, changed, distance, feasible, fallback;
        margin and inside of the
            next state; float32, flags as 0 or 1. With `monitor` also residual, the disturbance that
            explains the step best, shape (k,), and modelled, whether one in W does.
        info["cost"]: 1 if the next state violates the state constraints X.
    """

    def __init__(
        self,
        env: envs.Env,
        safeguard: Safeguard,
        *,
        system: System | None = None,
        reset_to: Callable[[jax.Array, jax.Array], envs.State] | None = None,
        regularisation: float = 0.0,
        diagnostics: bool = False,
        monitor: bool = False,
    ):
        if isinstance(env, envs.Wrapper):
            name = type(env).__name__
            raise WrapperOrderError(
                f"`SafeguardWrapper` must be the innermost wrapper, but `env` is a `{name}`. "
                f"Write `{name}(SafeguardWrapper(env, ...))`, not `SafeguardWrapper({name}(env), "
                "...)`."
            )
        if isinstance(env, SafeguardWrapper):
            raise WrapperOrderError(
                "`env` must not be safeguarded already, but it is a "
                "`SafeguardWrapper`; wrap `env.env` instead."
            )
        if not isinstance(env, envs.Env):
            raise TypeError(f"`env` must be a `brax.envs.Env`, but it is a `{type(env).__name__}`.")
        found = system if system is not None else getattr(env, "system", None)
        if found is None:
            raise CertificateError(
                f"`{type(env).__name__}` has no `system`, so there is nothing "
                "to guarantee; give `system=...`."
            )
        require_parts(found, safeguard, regularisation)
        if found.action_size != env.action_size:
            raise CertificateError(
                f"The system must have the environment's {env.action_size} "
                f"action(s), but it has {found.action_size}."
            )
        self.env, self.system, self.safeguard, self.regularisation, self.diagnostics = (
            env,
            found,
            safeguard,
            regularisation,
            diagnostics,
        )
        self._claim = StepCheck.of(found) if monitor else None
        self._reset_to = reset_to
        self._inside_key = jax.jit(self._find_inside)
        # What an environment with a system of its own says of it: that it starts in the safe set,
        # how large observations are there.
        self._own_system = found is getattr(env, "system", None)

    def reset(self, rng: jax.Array) -> envs.State:
        """Resets the environment; `rng` is a PRNGKey of either kind."""
        if jnp.issubdtype(rng.dtype, jax.dtypes.prng_key):
            rng = jax.random.key_data(rng)  # Brax's wrappers read the shape of raw keys
        if self._own_system and self._reset_to is None:
            return self._unmoved(self.env.reset(rng))
        if self._reset_to is not None:
            start, rng = jax.random.split(rng)
            state = self.reset_to(self.system.sample_initial(start), rng)
        else:
            state = self._unmoved(self.env.reset(self._inside_key(rng)))
        inside = state.info["safeguard"]["inside"]
        if not isinstance(inside, Tracer) and not inside:
            raise self.no_safe_start(self.system.state(state))
        return state

    def no_safe_start(self, x: ArrayLike) -> CertificateError:
        """The error to raise of a reset that gave the state x outside the safe set, for callers
        that compile `reset`.
        """
        if self._reset_to is not None:
            return no_safe_start(
                "`reset_to`", x, "It must return the environment's state at the x that it is given."
            )
        instead = (
            "Give `reset_to=`, a function (x, key) -> state that puts the environment into the "
            "state x, for example that of a `BraxPlant`."
        )
        return no_safe_start(
            "its own reset" if self._own_system else f"{_ATTEMPTS} resets", x, instead
        )

    def reset_to(self, x: jax.Array, rng: jax.Array) -> envs.State:
        """Starts at a given state x, shape (n,), if the environment can: the bundled ones do,
        others by the argument `reset_to`.

        Raises:
            ValueError: If it cannot.
        """
        reset_to = (
            self._reset_to if self._reset_to is not None else getattr(self.env, "reset_to", None)
        )
        if reset_to is None:
            raise ValueError(
                f"`{type(self.env).__name__}` cannot be put into a given state; give "
                "`SafeguardWrapper(..., reset_to=)`."
            )
        return self._unmoved(reset_to(x, rng))

    def admissible(self, x: jax.Array) -> jax.Array:
        """Whether the guarantee covers episodes from x, shape (n,). Shape (), bool."""
        inside = self.system.margin(x) >= 0
        return (
            inside & self.env.admissible(x)
            if self._own_system and hasattr(self.env, "admissible")
            else inside
        )  # pyright: ignore[reportAttributeAccessIssue]

    def observation_bound(self) -> np.ndarray:
        """What |observation| is at most, in each component, while the state is safe; infinite where
        the environment does not say. Shape of an observation.
        """
        if self._own_system and hasattr(self.env, "observation_bound"):
            return self.env.observation_bound()  # pyright: ignore[reportAttributeAccessIssue]
        return np.full(self.observation_size, np.inf)  # pyright: ignore[reportArgumentType, reportCallIssue]

    @own
    @property
    def guarantee(self) -> Guarantee:
        """What stands behind the safety of this environment: "tested", unless the library itself
        steps the model of a claim, behind its own verified call.
        """
        own_system = self.system is getattr(self.env, "system", None)
        if not (own_system and isinstance(self.env, Guaranteed)):
            return tested(self.env, self.system)
        changed = unverified(self, self.safeguard)
        if changed is not None:
            return Guarantee("tested", changed)
        return guarantee_by_the_library(self.env)

    def _find_inside(self, rng: jax.Array) -> jax.Array:
        """A key whose reset of the environment starts in the safe set: `rng`, or the first of some
        others; the last one tried if none does.
        """

        def outside(carry):
            attempt, key = carry
            return (attempt < _ATTEMPTS) & ~(
                self.system.margin(self.system.state(self.env.reset(key))) >= 0
            )

        # Only the state is computed here: compilers drop the rest of the reset.
        return jax.lax.while_loop(
            outside, lambda carry: (carry[0] + 1, jax.random.fold_in(rng, carry[0])), (1, rng)
        )[1]

    def _unmoved(self, state: envs.State) -> envs.State:
        zero = jnp.zeros(self.action_size, jnp.float32)
        no, yes = jnp.zeros((), bool), jnp.ones((), bool)
        output = SafeguardOutput(zero, zero, no, no, jnp.zeros(()), yes, no, yes)
        # The step's annotation on a step that did nothing: reset and step return the same tree by
        # construction.
        eye, ones = jnp.eye(self.action_size), jnp.ones(self.action_size)
        identity = GradientDiagnosis(eye, ones, jnp.asarray(self.action_size), jnp.zeros(()))
        nothing = self._claim.nothing() if self._claim else None
        return self._annotate(state, output, identity if self.diagnostics else None, nothing)

    @own
    def step(self, state: envs.State, action: jax.Array) -> envs.State:
        """Steps the environment with the safe replacement of `action`, shape (d,)."""
        x = self.system.state(state)
        output = safe_action(self.system, self.safeguard, x, action)
        diagnosis = (
            diagnose_gradient(self.system, self.safeguard, x, action) if self.diagnostics else None
        )
        with jax.default_matmul_precision("highest"):
            next_state = self.env.step(state, output.action)
        explanation = (
            self._claim.monitor(x, output.action, self.system.state(next_state))
            if self._claim
            else None
        )
        return self._annotate(next_state, output, diagnosis, explanation)

    @own
    def _annotate(
        self,
        state: envs.State,
        output: SafeguardOutput,
        diagnosis: GradientDiagnosis | None = None,
        explanation: Explanation | None = None,
    ) -> envs.State:
        x = self.system.state(state)
        margin = self.system.margin(x)
        number = lambda value: jnp.asarray(value, x.dtype)  # noqa: E731
        # some Brax environments return a Python number
        inside, reward = number(margin >= 0), number(state.reward)
        record = {name: number(value) for name, value in output._asdict().items()}
        record |= {"margin": number(margin), "inside": inside}
        metrics = {
            "safeguard/intervention_per_step": record["intervened"],
            "safeguard/distance_per_step": record["distance"],
            "safeguard/infeasible_per_step": 1 - record["feasible"],
            "safeguard/fallback_per_step": record["fallback"],
            "safeguard/left_set_per_step": 1 - inside,
            "safeguard/task_reward": reward,
        }
        if diagnosis is not None:
            metrics |= {
                "safeguard/rank_per_step": number(diagnosis.rank),
                "safeguard/lost_gradient_per_step": number(diagnosis.lost_gradient),
                "safeguard/smallest_singular_value_per_step": number(diagnosis.singular_values[-1]),
                "safeguard/largest_singular_value_per_step": number(diagnosis.singular_values[0]),
            }
        if explanation is not None:
            record |= {
                "residual": explanation.disturbance.astype(x.dtype),
                "modelled": number(explanation.modelled),
            }
            metrics["safeguard/unmodelled_per_step"] = 1 - record["modelled"]
        return dataclasses.replace(
            state,
            reward=reward - self.regularisation * jnp.square(output.distance)
            if self.regularisation
            else reward,
            metrics={**state.metrics, **metrics},
            info={**state.info, "safeguard": record, "cost": number(self.system.violation(x))},
        )

    @property
    def observation_size(self):
        return self.env.observation_size

    @property
    def action_size(self) -> int:
        return self.env.action_size

    @property
    def backend(self) -> str:
        return self.env.backend

    @own
    @property
    def unwrapped(self) -> "SafeguardWrapper":
        return self

    @property
    def sys(self) -> Any:
        """The environment's Brax system, for rendering."""
        return self.env.sys  # pyright: ignore[reportAttributeAccessIssue]

    @sys.setter
    def sys(self, value: Any) -> None:
        raise CertificateError(
            "The physics of a safeguarded environment must stay what the certificate speaks about, "
            "but `sys` was to be replaced "
            "(domain randomisation?). Randomise the disturbance inside W instead, or certify a set "
            "that covers all variants."
        )

    def __getattr__(self, name: str) -> Any:
        if name == "env" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.env, name)
