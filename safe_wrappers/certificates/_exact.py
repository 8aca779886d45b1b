"""Vectors and matrices of rational numbers, for what is decided exactly."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

Row = list[Fraction]


def rational(values: Any) -> Row:
    """The rational numbers that floating-point numbers are."""
    return [Fraction(float(value)) for value in values]


def rationals(matrix: Any) -> list[Row]:
    """The same for each row of a matrix."""
    return [rational(row) for row in matrix]


def dot(first: Sequence[Fraction], second: Sequence[Fraction]) -> Fraction:
    """Their inner product."""
    return sum((a * b for a, b in zip(first, second, strict=True) if a), Fraction(0))
