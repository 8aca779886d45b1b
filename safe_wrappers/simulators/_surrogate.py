"""A polynomial model that contains a simulator on a set, from samples: in closed form, for the
search, the proof and the rows.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import ModelError
from .._gate import as_integer, as_number
from ..models import Model
from ..sets import Box, Polytope
from ._brax_plant import BraxPlant
from ._gym_plant import GymPlant
from ._playground_plant import PlaygroundPlant
from ._samples import extreme_samples, fit_in_words
from ._source import source_of
from ._support import PAGE

# By how much worse a symmetric fit may be than one that is not: symmetric sets are found faster.
_WORSE = 1.5
_ROUNDING = 1e-6
_SAMPLES_PER_TERM = 4
_MOST_STATES = 12


@dataclasses.dataclass(frozen=True, eq=False)
class Surrogate:
    """x' = p(x) + P(x) a + w with polynomials p and P, and a box of disturbances that covers the
    difference to a simulator.

    A set that is robust control invariant for it, inside the set where it was fitted, is robust
    control invariant for the simulator too, if the box contains every difference. This condition is
    tested, not proved.

    Attributes:
        model: The polynomial model, n disturbances; affine in (a, w).
        disturbance_set: The box, dimension n, symmetric.
        symmetric: Whether the model is symmetric about the centre of the set where it was fitted.
        largest: The largest difference found, shape (n,).
        worst_states: The states where it was found, component by component, shape (n, n). A
            difference that is large in one place shows what no polynomial follows: a wall, a limit.
        samples: Number of samples.
        safety: The factor between `largest` and the box, before the simulator's own disturbances
            are added.
    """

    model: Model
    disturbance_set: Box
    symmetric: bool
    largest: np.ndarray
    worst_states: np.ndarray
    samples: int
    safety: float

    def __str__(self) -> str:
        return fit_in_words(self.largest, self.samples, self.safety)


def fit_surrogate(
    plant: Model | BraxPlant | PlaygroundPlant | GymPlant,
    states: Box | Polytope,
    key: jax.Array,
    *,
    degree: int = 3,
    symmetric: bool | None = None,
    disturbance_set: Box | None = None,
    samples: int = 16_384,
    safety: float = 1.5,
) -> Surrogate:
    """Fits the polynomials by least squares over a set, and measures what they leave over.

    Args:
        plant: The plant that the polynomials are to follow: a `BraxPlant`, a `PlaygroundPlant`, a
            `GymPlant`, or any model x' = f(x, a, w). The model need not be affine in the action;
            the composition of several frames under one action, for example, is not. Only its steps
            are used, and for its own disturbances the derivative with respect to w.
        states: A bounded set, dimension n, that contains the safe set to be found. Half of the
            samples are uniform in it, half lie near its corners and edges; the actions are extreme
            half of the time.
        key: Random key.
        degree: Degree of p in x, about the middle of `states`; that of P is one less. 1: linear
            with a constant P.
        symmetric: Only odd terms in p, beside a constant, and even ones in P, about the middle of
            `states`: f(-x, -a, -w) = -f(x, a, w) if that is the origin. What is not symmetric goes
            into the box. Default: whether this restriction enlarges the difference by at most half.
        disturbance_set: The plant's own W, shape (k,): for a model the range of its w; for a
            `GymPlant` what is added to each of the n states. What it moves a state by is added to
            the box. Default: w = 0.
        samples: Number of samples.
        safety: Factor on the largest difference, at least 1.

    Raises:
        SetDimensionError: If the sets do not fit the plant or are unbounded.
        TypeError: If `plant` is something else, `safety`, `degree` or `samples` no number, or `key`
            no random key.
        ValueError: If `safety`, `degree` or `samples` is below 1, there are fewer than four samples
            for each polynomial coefficient, or more than 12 states.
        ModelError: If a step is not finite at some sample, or the environment cannot be put into
            some state of `states`.

    Warns:
        UserWarning: If bodies touch or joints are at their limits at some samples, as far as the
            physics is MuJoCo's.
    """
    source = source_of(plant)
    safety = as_number("safety", safety, 1.0)
    degree = as_integer("degree", degree, 1)
    samples = as_integer("samples", samples, 1)
    _require_enough(source.state_size, source.action_size, degree, samples)
    x, a, w = (
        np.asarray(part) for part in extreme_samples(source, states, disturbance_set, key, samples)
    )
    after, touching = source.steps(x, a)
    reach = np.zeros(source.disturbance_size)
    if disturbance_set is not None:
        reach = np.maximum(np.abs(disturbance_set.lower), np.abs(disturbance_set.upper))
    push, beyond = source.pushes(x, a, w, reach)
    if not (np.isfinite(after).all() and np.isfinite(push).all() and np.isfinite(beyond).all()):
        raise ModelError(
            f"The model {source.name!r} must be finite on `states`, but at some sample "
            "it is not; choose a smaller set."
        )
    if touching is not None:
        touching.warn_of_contacts(source.name, "sampled in `states`", stacklevel=2)
        touching.warn_of_limits(source.name, "sampled in `states`", stacklevel=2)
    corners = np.asarray(states.vertices(), np.float64)
    center = (corners.max(axis=0) + corners.min(axis=0)) / 2
    scale = (corners.max(axis=0) - corners.min(axis=0)) / 2
    fits = {
        choice: _fit(_Terms(degree, choice, center, scale), source.unit_action, x, a, after)
        for choice in ((True, False) if symmetric is None else (symmetric,))
    }
    chosen = symmetric
    if symmetric is None:
        odd, whole = (np.abs(fits[choice][1]).max(axis=0) for choice in (True, False))
        chosen = bool(np.all(odd <= _WORSE * whole + _ROUNDING * scale))
    step, difference = fits[bool(chosen)]
    difference = np.abs(difference)
    largest = difference.max(axis=0)
    # What does not change from sample to sample is known and needs no factor.
    own = push.min(axis=0) + safety * (np.ptp(push, axis=0) + beyond.max(axis=0))
    name = f"surrogate of degree {degree}, tested on samples, of {source.name}"
    n = source.state_size
    return Surrogate(
        Model(name, step, n, disturbance_size=n, **source.labels),
        Box.symmetric(safety * largest + own),
        bool(chosen),
        largest,
        x[difference.argmax(axis=0)],
        samples,
        safety,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Terms:
    """The monomials of p in x and those of P times the actions, about a center."""

    degree: int
    symmetric: bool
    center: np.ndarray
    scale: np.ndarray

    def __call__(self, x: jax.Array, a: jax.Array) -> jax.Array:
        parity = 2 if self.symmetric else 1
        # About the origin the constant of an odd polynomial is 0.
        constant = [0] if self.symmetric and self.center.any() else []
        drift = constant + list(range(1 if self.symmetric else 0, self.degree + 1, parity))
        effect = list(range(0, self.degree, parity))
        moved = x - self.center.astype(x.dtype) if self.center.any() else x
        z = moved / self.scale.astype(x.dtype)
        return jnp.concatenate([_monomials(drift, z), (_monomials(effect, z)[:, None] * a).ravel()])


def _fit(
    terms: _Terms,
    unit_action: Callable[[jax.Array], jax.Array],
    x: np.ndarray,
    a: np.ndarray,
    after: np.ndarray,
) -> tuple[Callable[[jax.Array, jax.Array, jax.Array], jax.Array], np.ndarray]:
    """A step x' = p(x) + P(x) a + w for actions in natural units, and the differences to `after` at
    states x and actions a in [-1, 1]^d, shape (N, n).
    """
    with jax.enable_x64():
        inputs = np.asarray(
            jax.jit(jax.vmap(terms))(np.asarray(x, np.float64), np.asarray(a, np.float64))
        )
    coefficients = np.linalg.lstsq(inputs, after, rcond=None)[0].T

    def step(x: jax.Array, action: jax.Array, disturbance: jax.Array) -> jax.Array:
        inputs = terms(x, unit_action(action))
        return jnp.sum(coefficients.astype(x.dtype) * inputs, axis=1) + disturbance

    return step, after - inputs @ coefficients.T


def _require_enough(n: int, d: int, degree: int, samples: int) -> None:
    """A set in many dimensions has more corners than memory can hold, and least squares with hardly
    more samples than unknowns would leave nothing over.
    """
    if n > _MOST_STATES:
        raise ValueError(
            f"A plant must have at most {_MOST_STATES} states to be sampled to the corners of a "
            f"set, but it has {n}. Choose fewer states that move on their own. {PAGE}"
        )
    terms = math.comb(n + degree, degree) + d * math.comb(n + degree - 1, degree - 1)
    if samples < _SAMPLES_PER_TERM * terms:
        raise ValueError(
            f"`samples` must be at least {_SAMPLES_PER_TERM} for each coefficient, but polynomials "
            f"of degree {degree} in {n} states and {d} action(s) have {terms:,} for each state, "
            f"and there are {samples:,}. Raise `samples`, lower `degree`, or choose fewer states. "
            f"{PAGE}"
        )


def _monomials(degrees: list[int], z: jax.Array) -> jax.Array:
    """All products of components of z of these degrees, each made from one of a degree less.

    Shape (number,).
    """
    n, found = len(z), []
    level: dict[tuple[int, ...], jax.Array] = {(): jnp.ones((), z.dtype)}
    for degree in range(max(degrees) + 1):
        if degree:
            level = {
                term: level[term[:-1]] * z[term[-1]]
                for term in itertools.combinations_with_replacement(range(n), degree)
            }
        found += list(level.values()) if degree in degrees else []
    return jnp.stack(found)
