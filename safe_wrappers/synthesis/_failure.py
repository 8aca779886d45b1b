"""Why there may be no safe set, and what helps: read off the motion near the centre."""

from typing import NamedTuple

import numpy as np

from .._errors import SafeWrappersError
from ._scaled_model import Rest, ScaledSystem

_UNIT = 1e-6  # eigenvalues within this of the unit circle neither decay nor grow
_NO_AUTHORITY = 1e-9  # an action that moves a mode by less than this does not reach it
_WEAK = 0.8  # from this part of the authority on, a disturbance is worth a word


class SynthesisError(SafeWrappersError, RuntimeError):
    """No robust control invariant set was found; the message says why, as far as it is known, and
    what helps.
    """


class Mode(NamedTuple):
    """A combination v y of the states that moves by itself: v y' = value v y, shape (n,)."""

    value: float
    direction: np.ndarray


def growing_mode(system: ScaledSystem, rest: Rest) -> str | None:
    """A mode that grows and that no action reaches, in words, or None."""
    for mode in _uncontrolled(rest):
        if mode.value > 1 + _UNIT:
            return (
                f"Near `center` = {system.center}, {in_words(system, mode.direction)} grows by the "
                f"factor {mode.value:.4g} a step, and no action reaches it: every start but one "
                "line of them leaves any bounded set. The plant needs another actuator, or the "
                "model is wrong there."
            )
    return None


def standing_modes(rest: Rest) -> bool:
    """Whether some mode neither decays nor is reached by an action."""
    return bool(_uncontrolled(rest))


class Reason(NamedTuple):
    """What speaks against a set, in whole sentences, and whether it is decisive: then no other
    setting of the search helps.
    """

    text: str
    decisive: bool = False


def reasons(system: ScaledSystem, rest: Rest) -> list[Reason]:
    """What speaks against a set near the origin."""
    drifting = [_drifting(system, rest, mode) for mode in _uncontrolled(rest)]
    overpowered = [_overpowered(system, rest, mode) for mode in _real_modes(rest)]
    found = [reason for reason in (*drifting, *overpowered) if reason is not None]
    drift = np.abs(rest.residual).max()
    if drift > _UNIT:
        text = (
            f"No action holds the state `center` = {system.center}: the best one lets it move by "
            f"{drift:.3g} of the range of a state in one step. Pass `center=` a state that an "
            "action can hold, if there is one."
        )
        found.append(Reason(text))
    return found


def _drifting(system: ScaledSystem, rest: Rest, mode: Mode) -> Reason | None:
    """A mode that only the disturbance moves."""
    push = np.abs(mode.direction @ rest.E) @ system.w_radius
    if push == 0:
        return None
    return Reason(
        f"No action reaches {in_words(system, mode.direction)} (eigenvalue {mode.value:.4g}), but "
        f"the disturbance moves it by up to {push:.3g} of its range a step, so that it drifts out "
        "of any bounds. Let the model say what keeps it in bounds: multiply the disturbance by a "
        "function of the state that is 0 at the last value which the state can take, leave the "
        "constraints a little room beyond, and let the state return from there. Or take the state "
        "out of the model, and its motion into the disturbance."
    )


def _overpowered(system: ScaledSystem, rest: Rest, mode: Mode) -> Reason | None:
    """A mode that the disturbance moves nearly as hard as the actions do, or harder."""
    push = np.abs(mode.direction @ rest.E) @ system.w_radius
    authority = np.abs(mode.direction @ rest.B).sum()
    if authority <= _NO_AUTHORITY or push < _WEAK * authority:
        return None
    decisive = bool(push >= authority)
    verdict = "so that there is no safe set" if decisive else "which leaves little to turn around"
    return Reason(
        f"Along {in_words(system, mode.direction)} the worst disturbance pushes "
        f"{push / authority:.0%} as hard as the strongest action, {verdict}: use stronger actions "
        "or a smaller disturbance set.",
        decisive,
    )


def _uncontrolled(rest: Rest) -> list[Mode]:
    """The modes that do not decay and that no action reaches (the test of Hautus)."""
    n = len(rest.A)
    found = []
    for value in _on_or_outside_the_circle(rest.A):
        left, sizes, _ = np.linalg.svd(np.column_stack([rest.A - value * np.eye(n), rest.B]))
        if sizes[-1] < _NO_AUTHORITY * max(1.0, sizes[0]):
            direction = left[:, -1].conj()
            # Of a complex pair, the real part shows which states it is about.
            turn = np.exp(-1j * np.angle(direction[np.abs(direction).argmax()]))
            real = np.real(direction * turn)
            found.append(Mode(float(abs(value)), real / np.linalg.norm(real)))
    return found


def _real_modes(rest: Rest) -> list[Mode]:
    """The real modes that do not decay."""
    n = len(rest.A)
    found = []
    for value in _on_or_outside_the_circle(rest.A):
        if abs(value.imag) < _UNIT:
            left = np.linalg.svd(rest.A - value.real * np.eye(n))[0][:, -1]
            found.append(Mode(float(value.real), left))
    return found


def _on_or_outside_the_circle(A: np.ndarray) -> np.ndarray:
    """Eigenvalues of at least length 1, of every complex pair and every repeated value one."""
    values = np.linalg.eigvals(A)
    values = values[(np.abs(values) >= 1 - _UNIT) & (values.imag >= 0)]
    return np.unique(np.round(values, 7))


def in_words(system: ScaledSystem, direction: np.ndarray) -> str:
    """A combination of the scaled states in the units of x, as a formula in which the state that
    counts most has the factor 1.
    """
    weights = direction / system.scale
    weights = weights / weights[np.abs(direction).argmax()]
    kept = [i for i in np.argsort(-np.abs(direction)) if abs(direction[i]) > 1e-6]
    names = system.model.state_labels
    terms = [f"{'' if np.isclose(weights[i], 1) else f'{weights[i]:.3g} '}{names[i]}" for i in kept]
    return terms[0] if len(terms) == 1 else " + ".join(terms).replace("+ -", "- ")
