"""What is attacked: a plant, its safeguard, and the claim that it is judged against."""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

from brax import envs as brax_envs

from .._gate import one_of
from ..certificates import Certificate, Claim
from ..envs import ModelEnv, joint_state
from ..safe_actions import ModelSystem
from ..safeguards import NAMES, BoundaryProjection, Safeguard, make_safeguard
from ..wrappers import SafeguardWrapper
from ._judge import ClaimJudge, Judge, MarginJudge

UNSAFE = "none"


class Subject(NamedTuple):
    """What is attacked.

    Attributes:
        plant: The environment without its safeguard.
        wrapper: The one with it; the plant itself if it has none.
        safeguard: The safeguard, or None.
        judge: Decides which steps are safe.
        system: What the plant is called in reports.
        guard: What the safeguard is called in reports.
    """

    plant: ModelEnv
    wrapper: brax_envs.Env
    safeguard: Safeguard | None
    judge: Judge
    system: str
    guard: str

    def guarded(self, around: Callable[[ModelEnv], Any]) -> Any:
        """The safeguarded environment with something around its plant."""
        inner = around(self.plant)
        if self.safeguard is None:
            return inner
        # A subclass of the wrapper may do something else with an action: it is what is tried.
        wrapper = copy.copy(self.wrapper)
        object.__setattr__(wrapper, "env", inner)
        return wrapper


def subject_of(
    env: Any, safeguard: Safeguard | str | None, claim: Claim | Certificate | None
) -> Subject:
    """What is attacked when a user hands over an environment.

    Args:
        env: A `ModelEnv`, or a `SafeguardWrapper` around one.
        safeguard: An object or a name, "none" for none. None: the wrapper's, else boundary
            projection.
        claim: What the steps are judged against. None: the claim of the plant's system.

    Raises:
        TypeError, ValueError: If one of them is something else, or they do not fit together.
    """
    plant = env.env if isinstance(env, SafeguardWrapper) else env
    if not isinstance(plant, ModelEnv):
        inside = " around one" if plant is not env else ""
        raise TypeError(
            "What is attacked must be a `ModelEnv` such as a `CertifiedEnv`, whose states and "
            "disturbances can be chosen, or a `SafeguardWrapper` around one, but it is a "
            f"`{type(env).__name__}`{inside and f' around a `{type(plant).__name__}`'}. Write a "
            "`CertifiedEnv` about its claim; compare other simulators with their model by "
            "`sw.conform`."
        )
    judge = _judge(plant, claim)
    if isinstance(env, SafeguardWrapper):
        if safeguard is not None:
            raise ValueError(
                f"`env` is safeguarded already by {type(env.safeguard).__name__}; leave out "
                "`safeguard`, or give the environment inside, `env.env`."
            )
        return Subject(plant, env, env.safeguard, judge, _name(plant), repr(env.safeguard))
    guard = _safeguard(safeguard)
    wrapper = plant if guard is None else SafeguardWrapper(plant, guard)
    return Subject(
        plant, wrapper, guard, judge, _name(plant), UNSAFE if guard is None else repr(guard)
    )


def _safeguard(given: Any) -> Safeguard | None:
    if given is None:
        return BoundaryProjection()
    if isinstance(given, Safeguard):
        return given
    if not isinstance(given, str):
        raise TypeError(
            f"`safeguard` must be a safeguard or the name of one, but it is a "
            f"`{type(given).__name__}`."
        )
    one_of("safeguard", given, (*NAMES, UNSAFE))
    return None if given == UNSAFE else make_safeguard(given)


def _judge(plant: ModelEnv, given: Any) -> Judge:
    claim = given.claim if isinstance(given, Certificate) else given
    own = plant.system if type(plant.system) is ModelSystem else None
    if claim is None:
        if own is None:
            return MarginJudge(plant)
        return ClaimJudge(own.claim, own)
    if not isinstance(claim, Claim):
        raise TypeError(
            f"`claim` must be a `Claim` or a `Certificate`, but it is a `{type(given).__name__}`."
        )
    sizes, found = (
        (model.state_size, model.action_size, model.disturbance_size)
        for model in (plant.model, claim.model)
    )
    if sizes != found:
        raise ValueError(
            "`claim` must be about as many states, actions and disturbances as the environment "
            f"has, {sizes}, but it is about {found}."
        )
    commands = "actions" if own is None else own.commands
    return ClaimJudge(claim, ModelSystem(claim, state=joint_state, commands=commands))


def _name(plant: ModelEnv) -> str:
    certificate = getattr(plant.system, "certificate", None)
    safe_set = f", safe set {certificate.name}" if certificate else ""
    return f"{plant.model.name} ({type(plant).__name__} on {plant.backend}{safe_set})"
