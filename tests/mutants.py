"""The mistakes that the tests and the public contract checks must catch, those of the method's
public code among them.
"""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from helpers import RecordingPendulum

import safe_wrappers as sw
from safe_wrappers import BoundaryProjection, Box, Polytope
from safe_wrappers._pytree import frozen_pytree
from safe_wrappers.envs import SafePendulum
from safe_wrappers.models import Model
from safe_wrappers.safeguards import Passthrough, Safeguard
from safe_wrappers.safeguards._centers import inner_box

ENV = SafePendulum(safe_set="narrow")


@frozen_pytree
class Nothing(Safeguard):
    """Executes every request."""

    def project(self, rows, request, accepted, anchor):
        return request

    def _verified(self, rows, request, accepted, anchor):
        return request, jnp.zeros((), bool)


@frozen_pytree
class InvertedCondition(BoundaryProjection):
    """Projects the actions that are safe and executes those that are not."""

    def _verified(self, rows, request, accepted, anchor):
        safe, fallback = super()._verified(rows, request, accepted, anchor)
        return jnp.where(accepted, safe, request), fallback


@frozen_pytree
class RawActionOnFailure(Safeguard):
    """Its solver fails where the request is far from safe, and then the request is executed."""

    def project(self, rows, request, accepted, anchor):
        return BoundaryProjection().project(rows, request, accepted, anchor)

    def _verified(self, rows, request, accepted, anchor):
        mapped = self.project(rows, request, accepted, anchor)
        failed = jnp.abs(mapped - request)[0] > 0.5
        return jnp.where(failed, request, mapped), failed


@frozen_pytree
class RayMaskWithoutItsFactor(Safeguard):
    """A ray mask from the anchor that lost the factor lam_s / lam_A: it scales by lam_a only.

    Unverified, as it was.
    """

    def _verified(self, rows, request, accepted, anchor):
        return self.project(rows, request, accepted, anchor), jnp.zeros((), bool)

    def project(self, rows, request, accepted, anchor):
        direction = jnp.where(request >= anchor, 1.0, -1.0)
        to_box = jnp.maximum(1 - direction * anchor, 1e-6)
        return anchor + direction * jnp.abs(request - anchor) / to_box


@frozen_pytree
class RayMask(RayMaskWithoutItsFactor):
    """The same with the factor."""

    def project(self, rows, request, accepted, anchor):
        direction = jnp.where(request >= anchor, 1.0, -1.0)
        to_box = jnp.maximum(1 - direction * anchor, 1e-6)
        to_boundary = jnp.minimum(
            jnp.where(direction > 0, rows.b[1], rows.b[0])[0] - direction * anchor - rows.tau,
            to_box,
        )
        return anchor + direction * jnp.abs(request - anchor) / to_box * to_boundary


@frozen_pytree
class InvertedReplacement(Safeguard):
    """Keeps the actions that are unsafe and replaces those that are safe. Unverified."""

    def _verified(self, rows, request, accepted, anchor):
        return self.project(rows, request, accepted, anchor), jnp.zeros((), bool)

    def project(self, rows, request, accepted, anchor):
        return jnp.where(accepted, anchor, request)


@frozen_pytree
class GeneratorMaskWithoutItsCenter(Safeguard):
    """Scales by the half width of the interval, about 0. Unverified."""

    def _verified(self, rows, request, accepted, anchor):
        return self.project(rows, request, accepted, anchor), jnp.zeros((), bool)

    def project(self, rows, request, accepted, anchor):
        return inner_box(rows)[1] * request


@frozen_pytree
class UncheckedBox(BoundaryProjection):
    """Forgets the action box: it trusts the rows alone."""

    def __call__(self, action_set, action):
        output = super().__call__(action_set, action)
        return output._replace(
            action=jnp.where(output.intervened & jnp.isfinite(action), action, output.action)
        )


class RandomDirections(BoundaryProjection):
    """Draws its centre anew at every call: safe or not, it is no function."""

    draws = itertools.count()

    def __call__(self, action_set, action):
        output = super().__call__(action_set, action)
        shift = np.random.default_rng(next(self.draws)).uniform(0, 1)
        return output._replace(action=output.action + shift * (action_set.anchor - output.action))


@frozen_pytree
class AlwaysTheAnchor(Safeguard):
    """Executes the certified action whatever is requested: safe, and useless."""

    def project(self, rows, request, accepted, anchor):
        return anchor


@frozen_pytree
class RoundsSafeRequests(BoundaryProjection):
    """Shrinks every request by a few roundings."""

    def project(self, rows, request, accepted, anchor):
        return super().project(rows, (1 - 1e-6) * request, accepted, anchor)


@frozen_pytree
class NaNIsExecuted(BoundaryProjection):
    """Lets a request that is not finite through."""

    def __call__(self, action_set, action):
        output = super().__call__(action_set, action)
        return output._replace(action=jnp.where(jnp.isfinite(action), output.action, action))


@frozen_pytree
class WrongDerivative(BoundaryProjection):
    """The projection with the derivative of the identity, which it does not admit."""

    def project(self, rows, request, accepted, anchor):
        projected = jax.lax.stop_gradient(super().project(rows, request, accepted, anchor))
        return Passthrough().after(projected, request, rows, accepted)


SAFEGUARD_MUTANTS = [
    Nothing(),
    InvertedCondition(),
    RawActionOnFailure(),
    RayMaskWithoutItsFactor(),
    InvertedReplacement(),
    GeneratorMaskWithoutItsCenter(),
    UncheckedBox(),
]


def linearised_once():
    """The model linearised at the origin, whatever the state: no remainder, no new
    linearisation.
    """
    model = ENV.model
    zero = (jnp.zeros(2), jnp.zeros(1), jnp.zeros(1))
    jacobian = jax.jacfwd(model.step)(*zero)
    return Model(
        "linearised",
        lambda x, a, w: model.step(*zero) + jacobian @ x + model.step(0 * x, a, w),
        2,
        1,
        1,
    )


def system_with(**changes):
    """The pendulum's system with another claim, whose rounding is bounded anew."""
    claim = dataclasses.replace(ENV.system.claim, **{"eps": None, "gain": None, **changes})
    return sw.ModelSystem(claim, state=ENV.system.state)


SYSTEM_MUTANTS = {
    "linearised at a fixed point": lambda: system_with(model=linearised_once()),
    "the disturbance enters through a factor of zero": lambda: system_with(
        disturbance_set=Box.symmetric([0.0])
    ),
    "a placeholder set, a box 100 times too large": lambda: system_with(
        safe_state_set=Polytope(*Box.symmetric([50.0, 800.0]).halfspaces()), eps=2e-5
    ),
    "the constraints as the set, not invariant": lambda: system_with(
        safe_state_set=Polytope(*Box.symmetric([0.5, 8.0]).halfspaces()), eps=2e-5
    ),
    "another time step": lambda: system_with(model=sw.envs.dynamics.pendulum(dt=0.04)),
}


class Clamped(RecordingPendulum):
    """Clamps the state into its box, which hides every exit from what the environment reports."""

    def _pipeline_step(self, pipeline_state, x, action, w):
        box = jnp.array([0.25, 4.0])  # inside S
        return self._pipeline_init(jnp.clip(self.model(x, action, w), -box, box))


class RawActionReachesThePlant(sw.SafeguardWrapper):
    """Reports the safe action and executes the request, as a wrapper does that is stepped
    around.
    """

    def step(self, state, action):
        safe = super().step(state, action)
        return self.env.step(state, action).replace(
            metrics=safe.metrics, info={**safe.info, "executed": action}
        )


class DeadRegularisation(sw.SafeguardWrapper):
    """Takes a regularisation and never uses it."""

    def step(self, state, action):
        after = super().step(state, action)
        return after.replace(reward=after.metrics["safeguard/task_reward"])


class WeakReward(sw.SafeguardWrapper):
    """Gives the reward of a step as a Python number."""

    def step(self, state, action):
        return super().step(state, action).replace(reward=1.0 * jnp.asarray(1.0))


class OpenToDomainRandomisation(sw.SafeguardWrapper):
    """Lets its physics be replaced."""

    @property
    def sys(self):
        return self.env.sys

    @sys.setter
    def sys(self, value):
        object.__setattr__(self.env, "_sys", value)


class SteppedAround(sw.SafeguardWrapper):
    """Hands out the bare environment, which is what Brax's own wrapper class does."""

    @property
    def unwrapped(self):
        return self.env


class StartsOutside(SafePendulum):
    """Starts where no action is safe."""

    def sample_initial(self, key):
        return super().sample_initial(key) + jnp.array([1.0, 0.0])


class AnotherPlant(SafePendulum):
    """A pendulum that steps another model than its system's."""

    def __init__(self, model, **options):
        super().__init__(**options)
        self.model = model


def replacing(kind, name):
    """A subclass with a member of its own in the place of one of `kind`.

    It only calls that one, but nobody can know that.
    """
    if isinstance(getattr(kind, name), property):
        return type("Mine", (kind,), {name: property(getattr(kind, name).fget)})
    return type("Mine", (kind,), {name: lambda self, *args: getattr(kind, name)(self, *args)})
