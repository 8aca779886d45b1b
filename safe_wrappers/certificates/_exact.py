"""Vectors and matrices of rational numbers, for what is decided exactly."""

import math
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


def product(first: Sequence[Sequence[Fraction]], second: Sequence[Sequence[Fraction]]) -> list[Row]:
    """The product of two matrices."""
    columns = list(zip(*second, strict=True))
    return [[dot(row, column) for column in columns] for row in first]


def whole(values: Sequence[Fraction]) -> tuple[list[int], int]:
    """Rationals as integers over their least common denominator."""
    scale = math.lcm(*(v.denominator for v in values))
    return [int(v * scale) for v in values], scale


def solved(table: list[Row]) -> Row | None:
    """The y with F y = r for rows (F, r), None if there is not exactly one; changes the table."""
    n = len(table)
    for k in range(n):
        pivot = next((i for i in range(k, n) if table[i][k]), None)
        if pivot is None:
            return None
        table[k], table[pivot] = table[pivot], table[k]
        table[k] = [v / table[k][k] for v in table[k]]
        for i in range(n):
            if i != k and table[i][k]:
                factor = table[i][k]
                table[i] = [a - factor * b for a, b in zip(table[i], table[k], strict=True)]
    return [row[n] for row in table]
