"""What is to be certified, checked when it is given."""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from .._errors import SetDimensionError
from .._gate import as_integer, as_number, as_numbers, instance_of
from ..models import Model
from ..sets import Box, Polytope
from ..synthesis import SynthesisError

# Facets that are allowed if the caller does not say, by the number of states.
FACETS = {1: 2, 2: 20, 3: 20, 4: 24, 5: 20, 6: 20}
# A search with more vertices than this takes hours.
_VERTICES = 500
# The proof of a product lists its vertices.
_PRODUCT_VERTICES = 10_000


class Effort(NamedTuple):
    """How long the search goes on.

    Attributes:
        facets: Most facets of the set, or of each block; None: by the number of states.
        seeds: Random starts.
        iterations: Most quadratic programs of one start.
        scales: The factors by which the successive searches enlarge W.
        rounds: Most searches at one scale, each with the counterexamples to the sets before.
        margin: Margin asked for at the sample points, or None.
        max_cells: The number of cells after which a proof gives up.
    """

    facets: int | None
    seeds: int
    iterations: int
    scales: tuple[float, ...]
    rounds: int
    margin: float | None
    max_cells: int

    @classmethod
    def of(cls, **given: Any) -> "Effort":
        """Checked."""
        facets, margin, scales = given["facets"], given["margin"], given["disturbance_scales"]
        instance_of("disturbance_scales", scales, list, tuple)
        if not scales or list(scales) != sorted(scales, reverse=True):
            raise ValueError(
                "`disturbance_scales` must hold one number at least, the largest first, but it is "
                f"{scales}."
            )
        return cls(
            None if facets is None else as_integer("facets", facets, 1),
            as_integer("seeds", given["seeds"], 1),
            as_integer("iterations", given["iterations"], 1),
            tuple(as_number("disturbance_scales", scale, 1.0) for scale in scales),
            as_integer("rounds", given["rounds"], 1),
            None if margin is None else as_number("margin", margin, 0.0, below=1.0),
            as_integer("max_cells", given["max_cells"], 1),
        )


@dataclasses.dataclass(frozen=True)
class Task:
    """A plant whose safe set is asked for: the whole, or one block of it.

    Attributes:
        model: x' = f(x, a, w).
        constraints: X.
        disturbances: W.
        center: A state strictly inside X, shape (n,).
        settled: Whether the caller gave the centre; otherwise a better one may be taken.
        symmetric: Whether the set is to be its own mirror image; None: yes, if it may be.
        effort: How long the search goes on.
    """

    model: Model
    constraints: Box | Polytope
    disturbances: Box
    center: np.ndarray
    settled: bool
    symmetric: bool | None
    effort: Effort

    @property
    def facets(self) -> int:
        """Most facets of the set."""
        return self.effort.facets or FACETS.get(self.model.state_size, 4 * self.model.state_size)


def as_constraints(value: Any, model: Model) -> Box | Polytope:
    """X, if it is one for this model.

    Raises:
        TypeError: If it is neither a box nor a polytope, with what to write.
        SetDimensionError: If it has another dimension than the model has states.
    """
    if not isinstance(value, Box | Polytope):
        raise TypeError(
            f"`constraints` must be a `Box` or a `Polytope`, but it is {_found(value)}. Write "
            f"{_box(value) or 'sw.Box(lower, upper), or sw.Polytope(H, h) for H x <= h'}."
        )
    return _sized("constraints", value, model.state_size, model, "states")


def as_disturbances(value: Any, model: Model) -> Box:
    """W, if it is one for this model; None stands for no disturbance.

    Raises:
        TypeError: If it is no box, with what to write.
        SetDimensionError: If it has another dimension than the model has disturbances, or no
            bounds.
    """
    k = model.disturbance_size
    if value is None and k == 0:
        return Box(np.zeros(0, np.float32), np.zeros(0, np.float32))
    if not isinstance(value, Box):
        example = f"sw.Box.symmetric({[0.1] * k})"
        raise TypeError(
            f"`disturbances` must be a `Box`, but it is {_found(value)}. Write "
            f"{_box(value) or f'sw.Box(lower, upper) or, for example, {example}'}."
        )
    if not (np.isfinite(value.lower).all() and np.isfinite(value.upper).all()):
        raise SetDimensionError(
            f"`disturbances` must be bounded, but it is from {value.lower} to {value.upper}: no "
            "action withstands a disturbance without bounds."
        )
    return _sized("disturbances", value, k, model, "disturbances")


def as_center(value: Any, model: Model) -> np.ndarray:
    """A state, float64.

    Raises:
        SetDimensionError: If it is none.
    """
    center = np.asarray(as_numbers("center", value), np.float64)
    if center.shape != (model.state_size,) or not np.isfinite(center).all():
        raise SetDimensionError(
            f"`center` must hold {model.state_size} finite numbers, one for each state, but it is "
            f"{center}."
        )
    return center


def require_feasible_size(task: Task) -> None:
    """Refuses a search that would not end, and facets that cannot bound a set.

    Raises:
        SetDimensionError: If there are fewer facets than a box has.
        SynthesisError: With the number of vertices, and what is possible.
    """
    n, m = task.model.state_size, task.facets
    if m < 2 * n:
        raise SetDimensionError(
            f"`facets` must be at least {2 * n} for the {n} states of `{task.model.name}`, but it "
            f"is {m}."
        )
    vertices = most_vertices(n, m)
    if vertices <= _VERTICES:
        return
    raise SynthesisError(
        f"A set with {n} states and {m} facets may have {vertices:,} vertices, at each of which "
        f"the search asks for a safe action; up to {_VERTICES} can be searched. Split the plant "
        "into groups of at most 4 to 5 states that do not enter each other's motion, and they are "
        "searched one by one if the constraints are a box; or certify the groups apart, each with "
        "the states of the others as disturbances. Fewer `facets` help a little: at least "
        f"{2 * n} are needed."
    )


def is_feasible_product(sizes: list[int]) -> bool:
    """Whether blocks of so many states, with as many facets as by default, can be proved as one."""
    vertices = [most_vertices(n, FACETS.get(n, 4 * n)) for n in sizes]
    return len(sizes) == 1 or math.prod(vertices) <= _PRODUCT_VERTICES


def require_feasible_product(tasks: list[Task]) -> None:
    """Refuses blocks whose product could not be proved.

    Raises:
        SynthesisError: With the number of vertices, and what is possible.
    """
    each = [most_vertices(task.model.state_size, task.facets) for task in tasks]
    if math.prod(each) <= _PRODUCT_VERTICES:
        return
    raise SynthesisError(
        f"The plant falls into {len(tasks)} blocks that do not enter each other's motion. Their "
        f"product may have {math.prod(each):,} vertices; up to {_PRODUCT_VERTICES:,} can be "
        "listed. Make a model of each block, certify it by itself, and give each block its own "
        "safeguard: nothing is lost, since no block depends on another one. Or ask for fewer "
        f"`facets` of each block than {max(task.facets for task in tasks)}."
    )


def most_vertices(n: int, m: int) -> int:
    """The largest number of vertices of a polytope with m facets in n dimensions (McMullen)."""
    low, high = n // 2, (n + 1) // 2
    return math.comb(m - high, low) + math.comb(m - low - 1, high - 1)


def _sized(name: str, value: Any, size: int, model: Model, what: str) -> Any:
    if value.dim != size:
        raise SetDimensionError(
            f"`{name}` has dimension {value.dim}, but the model `{model.name}` has {size} {what}."
        )
    return value


def _found(value: Any) -> str:
    return "missing" if value is None else f"a `{type(value).__name__}`"


def _box(value: Any) -> str | None:
    """The call that makes a box of what was given, if it is a pair of bounds."""
    try:
        lower, upper = (np.asarray(part, np.float64).tolist() for part in value)
        Box(lower, upper)
    except Exception:  # whatever it is, it is no pair of bounds
        return None
    return f"sw.Box({lower}, {upper})"
