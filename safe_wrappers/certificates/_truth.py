"""Truth values over cells: what a comparison of enclosed numbers decides, and what it leaves."""

from dataclasses import dataclass, field

import numpy as np

from ._intervals import Interval


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """A statement about the points of each cell.

    Args:
        must: Whether it is known to hold at every point of the cell, shape (cells,) or ().
        may: Whether it may hold at some point.
        sure: Whether float32 decides it as real numbers do, at every point: then both take the same
            branch, although which one is open.
        slopes: How fast the compared numbers move apart with each variable that they depend on, for
            the choice of an edge to bisect.
    """

    must: np.ndarray
    may: np.ndarray
    sure: np.ndarray
    slopes: dict[int, np.ndarray] = field(default_factory=dict)

    @classmethod
    def known(cls, value: bool) -> "Truth":
        """A constant."""
        return cls(np.asarray(value), np.asarray(value), np.asarray(True))

    @property
    def open(self) -> np.ndarray:
        """Where it may hold or not."""
        return self.may & ~self.must

    def __invert__(self) -> "Truth":
        return Truth(~self.may, ~self.must, self.sure, self.slopes)

    def __and__(self, other: "Truth") -> "Truth":
        return Truth(
            self.must & other.must,
            self.may & other.may,
            # A part that is known to be false decides alone.
            (self.sure & other.sure) | (self.sure & ~self.may) | (other.sure & ~other.may),
            _joined(self.slopes, other.slopes),
        )

    def __or__(self, other: "Truth") -> "Truth":
        return ~(~self & ~other)

    def __xor__(self, other: "Truth") -> "Truth":
        return (self & ~other) | (~self & other)

    def choose(self, when_false: "Truth", when_true: "Truth") -> "Truth":
        """The one or the other statement."""
        return (self & when_true) | (~self & when_false)


def _joined(first: dict[int, np.ndarray], second: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    none = np.zeros(1)
    return {i: first.get(i, none) + second.get(i, none) for i in sorted({*first, *second})}


def compare(
    name: str,
    first: Interval,
    second: Interval,
    sure: np.ndarray | bool = True,
    slopes: dict[int, np.ndarray] | None = None,
) -> Truth:
    """The comparison `name` (lt, le, gt, ge, eq or ne) of numbers in two intervals.

    A NaN bound leaves every comparison open. One scalar compared with itself, as in a search for
    NaN, is equal to itself where it is finite.
    """
    if first is second:
        finite = np.isfinite(first.lo) & np.isfinite(first.hi)
        equal = Truth(finite, np.ones_like(finite), finite | np.asarray(sure), slopes or {})
        return equal if name in ("eq", "le", "ge") else ~equal
    if name in ("gt", "ge"):
        return compare({"gt": "lt", "ge": "le"}[name], second, first, sure, slopes)
    if name == "ne":
        return ~compare("eq", first, second, sure, slopes)
    if name == "eq":
        must = (first.lo == first.hi) & (second.lo == second.hi) & (first.lo == second.lo)
        may = ~((first.hi < second.lo) | (first.lo > second.hi))
    elif name == "lt":
        must, may = first.hi < second.lo, ~(first.lo >= second.hi)
    else:
        must, may = first.hi <= second.lo, ~(first.lo > second.hi)
    decided = np.asarray(must | ~may)
    return Truth(np.asarray(must), np.asarray(may), decided | np.asarray(sure), slopes or {})


COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
