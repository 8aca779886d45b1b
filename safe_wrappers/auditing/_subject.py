"""What an audit is about: the environment, its safeguard, its claim, and what can be tried."""

import re
from typing import Any, NamedTuple

from brax import envs as brax_envs

from ..certificates import Certificate, Claim, Guarantee
from ..envs import ClaimEnv, ModelEnv
from ..models import moves
from ..safeguards import Safeguard, make_safeguard
from ..wrappers import SafeguardWrapper
from ._finding import Finding

UNSAFE = "none"
_DEFAULT = "boundary_projection"


class Subject(NamedTuple):
    """What is audited.

    Attributes:
        guarded: The environment as agents act in it.
        inside: The environment without the safeguard.
        name: What it is called.
        safeguard: The safeguard in words, or "none".
        claim: The claim behind its system, or None.
        certificate: The certificate of the claim, or None.
        simulator: What is compared with the model; None if the model itself is stepped.
        plant: What attack and soak act in, or None.
        acting: The safeguard that they put on; None for that of the plant.
        where: What the plant is, in words that end a question.
    """

    guarded: Any
    inside: Any
    name: str
    safeguard: str
    claim: Claim | None
    certificate: Certificate | None
    simulator: Any | None
    plant: Any | None
    acting: Safeguard | str | None
    where: str


def subject_of(env: Any, safeguard: Safeguard | str | None) -> Subject:
    """What is audited when a user hands over `env`.

    Raises:
        TypeError: If it has no system to be audited, or is no environment, claim or certificate.
        ValueError: If it has a safeguard already and another one is given.
    """
    if isinstance(env, Certificate | Claim):
        about, name = env, env.name if isinstance(env, Certificate) else env.model.name
        env = ClaimEnv(about)
    else:
        spec = getattr(env, "spec", None)  # of Gymnasium
        name = type(getattr(env, "env", env)).__name__ if spec is None else spec.id
    guarded = _guarded(env, safeguard)
    inside, system = getattr(guarded, "env", guarded), guarded.system
    on = getattr(guarded, "safeguard", None)
    claim, certificate = getattr(system, "claim", None), getattr(system, "certificate", None)
    claim = claim if isinstance(claim, Claim) else None
    if isinstance(inside, ModelEnv):
        plant, where = guarded, ""
        acting = UNSAFE if on is None else None
    else:
        plant = None if claim is None else ClaimEnv(claim)
        where, acting = ", in the model and not in the simulator", on
    return Subject(
        guarded,
        inside,
        name,
        UNSAFE if on is None else _in_words(on),
        claim,
        certificate if isinstance(certificate, Certificate) else None,
        None if _steps_model(inside, claim) else guarded,
        plant,
        acting,
        where,
    )


def guarantee_of(subject: Subject) -> Guarantee:
    """What the library says stands behind the environment as agents act in it."""
    if subject.safeguard == UNSAFE:
        return Guarantee("tested", "no safeguard acts, so that nothing is promised")
    found = getattr(subject.guarded, "guarantee", None)
    if isinstance(found, Guarantee):
        return found
    return Guarantee("tested", f"`{type(subject.guarded).__name__}` says nothing of its guarantee")


def safeguard_finding(subject: Subject) -> Finding:
    """Whether a safeguard acts at all."""
    acts = subject.safeguard != UNSAFE
    answer = (
        f"Yes: {subject.safeguard}. Each action that is executed has passed the one accept test, "
        "or is the certified action of the state."
        if acts
        else "No: actions are executed as they are asked for, so that nothing is promised."
    )
    return Finding(
        "safeguard",
        "Safeguard",
        "Does a safeguard act between the agent and the plant?",
        "held" if acts else "failed",
        answer,
        data={"safeguard": subject.safeguard},
    )


def _guarded(env: Any, safeguard: Safeguard | str | None) -> Any:
    if not hasattr(env, "system"):
        raise TypeError(
            "`env` must be an environment with a `system`, a claim or a certificate, but it is a "
            f"`{type(env).__name__}`. Put an environment of your own into a `SafeguardWrapper`."
        )
    if hasattr(env, "safeguard"):
        if safeguard is not None:
            raise ValueError(
                f"`env` has the safeguard {type(env.safeguard).__name__} already, so `safeguard` "
                "cannot choose another; leave it out, or give the environment inside."
            )
        return env
    if not isinstance(env, brax_envs.Env):
        raise TypeError(
            "`env` must be an environment of Brax, or be in one of the library's wrappers already, "
            f"but it is a `{type(env).__name__}`; put it into a `GymSafeguardWrapper`."
        )
    if safeguard == UNSAFE:
        return env
    chosen = _DEFAULT if safeguard is None else safeguard
    return SafeguardWrapper(env, make_safeguard(chosen) if isinstance(chosen, str) else chosen)


def _steps_model(inside: Any, claim: Claim | None) -> bool:
    """Whether the environment steps the very model of its claim, so that there is no simulator."""
    if not isinstance(inside, ModelEnv) or inside.backend != "closed_form":
        return False
    return claim is None or moves(inside.model, claim.model)


def _in_words(safeguard: Safeguard) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", type(safeguard).__name__).lower()
