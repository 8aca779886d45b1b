"""What sampling a simulator against its model has found."""

import dataclasses
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from .._errors import CertificateError
from ..models import Model
from ..sets import Box
from ._scenario import violation_bound


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """Steps and what they say, float64 arrays over N steps; an index or a slice gives some of them.

    Attributes:
        x: States before, shape (N, n).
        action: Executed actions, shape (N, d).
        next_x: States after, shape (N, n).
        drawn: Disturbances that the simulator reports to have drawn, else 0, shape (N, k).
        disturbance: Shape (N, k); like the rest as in `Explanation`.
        unexplained: Shape (N, n).
        excess: Shape (N,).
        least_excess: Shape (N,).
    """

    x: np.ndarray
    action: np.ndarray
    next_x: np.ndarray
    drawn: np.ndarray
    disturbance: np.ndarray
    unexplained: np.ndarray
    excess: np.ndarray
    least_excess: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: slice | np.ndarray) -> "Sample":
        return Sample(*(value[index] for value in self._values()))

    @classmethod
    def joined(cls, *samples: "Sample") -> "Sample":
        """All steps of several samples."""
        return cls(
            *(
                np.concatenate(values)
                for values in zip(*(sample._values() for sample in samples), strict=True)
            )
        )

    @classmethod
    def empty(cls, model: Model) -> "Sample":
        """No steps of the model."""
        n, d, k = model.state_size, model.action_size, model.disturbance_size
        return cls(
            *(np.zeros((0, *shape)) for shape in ((n,), (d,), (n,), (k,), (k,), (n,), (), ()))
        )

    @property
    def outside(self) -> np.ndarray:
        """Which steps W does not cover, those that are not finite included. Shape (N,), bool."""
        return ~(self.excess <= 1)

    def cover(self) -> Box:
        """The smallest box that covers the disturbances, unbounded if one is not finite; of no
        steps the origin.
        """
        if not len(self):
            return Box.symmetric(np.zeros(self.disturbance.shape[1]))
        known = np.isfinite(self.disturbance)
        low, high = (
            np.where(known, self.disturbance, -np.inf),
            np.where(known, self.disturbance, np.inf),
        )
        return Box(low.min(axis=0), high.max(axis=0))

    def _values(self) -> list[np.ndarray]:
        return [getattr(self, field.name) for field in dataclasses.fields(self)]


@dataclasses.dataclass(frozen=True, eq=False)
class ConformanceReport:
    """Whether the declared disturbance set covered every step that was tried, and which would.

    Tested, never proved.

    Attributes:
        name: Name of the simulator.
        disturbance_set: W as declared.
        own_disturbance: Whether the simulator draws disturbances from W itself and reports them.
            Then the disturbances of the samples are the model's error, and every step must be
            explained by the reported one up to the allowance; else they are the whole difference,
            which must fit into W.
        random: Independent, identically distributed steps.
        held_out: More of them, of which `cover` knows nothing.
        adversarial: Steps that were searched for.
        trajectories: Steps of safeguarded trajectories.
        confidence: Confidence level of the probability statements.
        enlargement: The share of its width by which `fitted` is enlarged on each side.
        seconds: Wall-clock time of the check.
    """

    name: str
    disturbance_set: Box
    own_disturbance: bool
    random: Sample
    held_out: Sample
    adversarial: Sample
    trajectories: Sample
    confidence: float
    enlargement: float
    seconds: float

    @property
    def parts(self) -> dict[str, Sample]:
        """The samples by name."""
        return {
            "random": self.random,
            "held out": self.held_out,
            "adversarial": self.adversarial,
            "trajectories": self.trajectories,
        }

    @cached_property
    def all(self) -> Sample:
        """All steps."""
        return Sample.joined(*self.parts.values())

    @property
    def conforms(self) -> bool:
        """Whether the declared W covers every step that was tried, with the allowance for
        rounding.
        """
        return not self.all.outside.any()

    @property
    def uncovered(self) -> int:
        """Number of steps that W does not cover."""
        return int(self.all.outside.sum())

    @property
    def uncovered_probability(self) -> float:
        """At most this is the probability that W does not cover a random step, with the report's
        confidence (Clopper and Pearson).
        """
        iid = Sample.joined(self.random, self.held_out)
        return violation_bound(len(iid), int(iid.outside.sum()) + 1, 1 - self.confidence)

    @property
    def cover(self) -> Box:
        """The smallest box that covers the disturbances of the random steps. Shape (k,)."""
        return self.random.cover()

    @property
    def cover_violation(self) -> float:
        """At most this is the probability that the disturbance of a random step lies outside
        `cover`, with the report's confidence.

        By the scenario approach, d = 2 k. It holds for every box that contains `cover`, too, such
        as `total_cover`.
        """
        return violation_bound(len(self.random), 2 * self.disturbance_set.dim, 1 - self.confidence)

    @property
    def held_out_violation(self) -> float:
        """The share of the held-out steps whose disturbance lies outside `cover`: what
        `cover_violation` bounds, measured.
        """
        w, box = self.held_out.disturbance, self.cover
        return (
            float(np.mean(~np.all((w >= box.lower) & (w <= box.upper), axis=1))) if len(w) else 0.0
        )

    @property
    def total_cover(self) -> Box:
        """The smallest box that covers the disturbances of all steps, adversarial ones and
        trajectories included. Shape (k,).
        """
        return self.all.cover()

    @property
    def fitted(self) -> Box:
        """A disturbance set for the next synthesis: `total_cover`, on each side larger by
        `enlargement` of its width.

        If the simulator draws disturbances itself, what it draws comes on top: the smallest box of
        these and W, plus the enlarged one. A certificate for the sum covers the simulator as long
        as that goes on drawing from the W of now; compare with `own_disturbance=False` then.

        Raises:
            CertificateError: If no disturbance covers some step: the model needs disturbances that
                enter other states.
        """
        if not self.explained:
            raise CertificateError(
                "A disturbance set must explain every step up to rounding, but the model has no "
                "disturbance that explains what is left of the "
                f"states, at most {np.abs(self.all.unexplained).max(axis=0).tolist()}; let "
                "disturbances enter these states (more columns of E)."
            )
        lower, upper = (
            np.asarray(bound, np.float64)
            for bound in (self.total_cover.lower, self.total_cover.upper)
        )
        room = self.enlargement * (upper - lower)
        if not self.own_disturbance:
            return Box(lower - room, upper + room)
        drawn, W = self.all.drawn, self.disturbance_set
        return Box(
            lower - room + np.minimum(W.lower, drawn.min(axis=0)),
            upper + room + np.maximum(W.upper, drawn.max(axis=0)),
        )

    @property
    def explained(self) -> bool:
        """Whether some disturbance, of any size, explains every step up to the allowance."""
        return bool(np.all(self.all.least_excess <= 1))

    @property
    def worst(self) -> int:
        """Index in `all` of the step that is farthest from being covered."""
        return int(np.argmax(np.nan_to_num(self.all.excess, nan=np.inf, posinf=np.inf)))

    @property
    def message(self) -> str:
        """The answer, in one or two sentences."""
        steps, W = self.all, self.disturbance_set
        if self.conforms:
            found = (
                "the model's error is rounding"
                if self.own_disturbance
                else "W covers the difference from the model"
            )
            return f"conforms (tested, not proved): in all {len(steps):,} steps {found}."
        i = self.worst
        found = (
            "the disturbance that was drawn from W does not explain the step"
            if self.own_disturbance
            else "W does not cover the difference from the model"
        )
        error = (
            f"drawn was {_numbers(steps.drawn[i])}, with an error of the model"
            if self.own_disturbance
            else "a disturbance"
        )
        left = (
            ""
            if self.explained
            else (
                " No disturbance of this model explains it; left of the states is "
                f"{_numbers(steps.unexplained[i])}."
            )
        )
        return (
            f"does not conform: in {self.uncovered:,} of {len(steps):,} steps {found}. The worst "
            f"is {steps.excess[i]:,.3g} times the allowance, at "
            f"x = {_numbers(steps.x[i])}, a = {_numbers(steps.action[i])}: {error} of "
            f"{_numbers(steps.disturbance[i])}, where W is "
            f"from {_numbers(W.lower)} to {_numbers(W.upper)}.{left}"
        )


def _numbers(values: ArrayLike) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in np.asarray(values)) + ")"
