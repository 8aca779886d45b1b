"""From a model, its limits and its disturbances to a proved certificate."""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .._gate import instance_of
from .._status_line import StatusLine
from ..certificates import Block, Certificate, Claim, dependence, prove
from ..models import Model, require_affine, require_known_operations
from ..sets import Box, Polytope
from ..synthesis import equilibrium, require_inside
from ._anneal import Found, annealed, claim_of
from ._blocks import independent_blocks, part, product
from ._factors import Factor, as_factors
from ._failure import not_proved
from ._interval import interval
from ._report import metadata, summary
from ._task import (
    Effort,
    Task,
    as_center,
    as_constraints,
    as_disturbances,
    is_feasible_product,
    require_feasible_product,
    require_feasible_size,
)
from ._virtual import certify_in_virtual_inputs

# More states have more vertices than can be searched.
_MOST_STATES = 5


def certify(
    model: Model,
    *,
    constraints: Box | Polytope,
    disturbances: Box | None = None,
    facets: int | None = None,
    center: ArrayLike | None = None,
    inputs: Box | None = None,
    blocks: Sequence[Block] | None = None,
    factors: Factor | Sequence[Factor | None] | None = None,
    name: str | None = None,
    symmetric: bool | None = None,
    seeds: int = 4,
    iterations: int = 200,
    rounds: int = 3,
    disturbance_scales: Sequence[float] = (1.5, 1.2, 1.05, 1.0),
    margin: float | None = None,
    max_cells: int = 200_000,
    progress: bool = True,
) -> Certificate:
    """Searches a large safe set of a plant, proves it, and returns its certificate.

    The set S lies in the constraints, and from each of its states some action keeps the next state
    in S for every disturbance. The search is a local heuristic, which finds several sets; the
    largest of those that were proved is returned. The same arguments give the same set, bit by bit.

    The first search takes the disturbances to be larger than they are, so that what it finds is
    nearly always proved; the next ones start from the proved set and are less careful. A plant that
    falls into blocks of states that do not enter each other's motion is searched block by block,
    if the constraints are a box. With one state the set is an interval, found without a search.

    A plant with virtual inputs (`models.Mechanical`, `models.Cascade`), or with more than five
    states that do not fall apart, gets another kind of set: a product over blocks that are kept by
    their virtual inputs whatever the other blocks do. These blocks may have any number of states;
    of the arguments below only `facets`, `center`, `inputs`, `blocks`, `factors`, `name` and
    `progress` count then, and the constraints must be a bounded box.

    Args:
        model: x' = f(x, a, w) with n states, affine in action and disturbance.
        constraints: The states that are allowed, dimension n, in the units of the state and
            wherever they lie. They need not be bounded, but with one state they must.
        disturbances: The disturbances that may occur, dimension k, bounded. None, if the model has
            no disturbances.
        facets: Most facets of the set, or of each block. Default: at most 20 or 24; facets are
            added as long as each one enlarges the set by 0.3 %.
        center: A state around which the set is built, shape (n,): strictly inside the constraints,
            and such that an action can hold it, at least nearly. Default: the one deepest inside
            the constraints that an action holds while the disturbance is in the middle of its
            box; every bounded safe set contains such a state.
        inputs: For virtual inputs: the box V in which they are to stay, in natural units. Every
            one of them must be brought about by an action at every state of the constraints.
            Default: the largest such box, for which the speed limits count the most. Smaller
            inputs disturb other blocks less.
        blocks: For virtual inputs: the groups of states with the virtual inputs that keep them.
            Default: found from the model's derivatives.
        factors: For virtual inputs: the kind of the set of each block, or one kind for all.
            "polygon": of a position and a speed in closed form, with at most `facets` sloped facets
            on each side. "gain": the largest set that one linear gain keeps. "vertices": a polytope
            from each of whose vertices some input leads back, of a block with 2 to 4 states and one
            virtual input; grown backwards from the set of a gain, or with `facets`, if it is to
            have fewer, searched as the sets of other plants are. Default: a joint gets its polygon,
            and others the set of a gain or, with at most 3 states and where it is larger by 2 %,
            that of vertices with at most 128 facets.
        name: Name of the certificate. Default: that of the model.
        symmetric: Whether the set is its own mirror image about `center`, which halves the work.
            Default: whether constraints, disturbances and model are symmetric about it.
        seeds: Random starts of the first search. With more than two states their results differ
            much.
        iterations: Most quadratic programs of one start.
        rounds: Most searches at one scale of the disturbances; each one takes into account the
            states at which the proof refuted the sets before.
        disturbance_scales: The factors by which the successive searches enlarge the box of
            disturbances, the largest first.
        margin: The margin that the search leaves at its sample points, in the scale in which the
            centre of the set has margin 1 and its boundary 0. Default: 1e-3 with two states, else
            2e-3. A larger one is easier to prove.
        max_cells: The number of cells after which a proof gives up.
        progress: Whether the terminal shows what is being done and, at the end, the result.

    Returns:
        The certificate, its claim proved in this process. Its metadata say how large the set is
        ("volume"), what share of the constraints it is and, with two states, about which share of
        the largest safe set there is ("share_of_largest", by gridding, to about 1 %).

    Raises:
        TypeError: If an argument has a wrong type; the message says what to write.
        SetDimensionError: If the sets do not fit the model, or `center` does not lie inside the
            constraints.
        ModelError: If the model is not affine in action and disturbance, or uses an operation for
            which there is no proof rule; this is found before the search.
        SynthesisError: If no set was found. The message says why, if that is known, and what helps,
            the most helpful remedy first.
        NotProved: If sets were found but none was proved. The error has the counterexample, or says
            what was left open.

    Example:
        >>> import jax.numpy as jnp
        >>> def step(x, action, wind):
        ...     velocity = x[1] + 0.1 * (action[0] + wind[0])
        ...     return jnp.stack([x[0] + 0.1 * velocity, velocity])
        >>> cart = Model("cart", step, state_size=2, action_size=1, disturbance_size=1)
        >>> certificate = certify(
        ...     cart,
        ...     constraints=Box([0.0, -1.0], [3.0, 1.0]),
        ...     disturbances=Box.symmetric([0.2]),
        ...     progress=False,
        ... )
        >>> certificate.metadata["share_of_constraints"] > 0.7
        True
    """
    began = time.perf_counter()
    instance_of("model", model, Model)
    effort = Effort.of(
        facets=facets,
        seeds=seeds,
        iterations=iterations,
        disturbance_scales=disturbance_scales,
        rounds=rounds,
        margin=margin,
        max_cells=max_cells,
    )
    X, W = as_constraints(constraints, model), as_disturbances(disturbances, model)
    require_affine(model)
    require_known_operations(model)
    parts = independent_blocks(dependence(model), model.action_size)
    parts = parts if isinstance(X, Box) else parts[:1]
    large = facets is None and _is_large(model, X, parts)
    as_factors(factors)
    asked = inputs is not None or blocks is not None or factors is not None
    if model.virtual is not None or asked or large:
        if not isinstance(X, Box):
            raise TypeError(
                "`constraints` must be a `Box` for a set in virtual inputs, but it is a `Polytope`."
            )
        with StatusLine(progress) as line:
            return certify_in_virtual_inputs(
                model,
                X,
                W,
                center=None if center is None else as_center(center, model),
                inputs=inputs,
                blocks=blocks,
                facets=effort.facets,
                factors=factors,
                name=name,
                line=line,
            )
    point = equilibrium(model, X, W) if center is None else as_center(center, model)
    require_inside(X, point)
    task = Task(model, X, W, point, center is not None, symmetric, effort)
    tasks = [part(task, block) for block in parts] if len(parts) > 1 else [task]
    for each in tasks:
        require_feasible_size(each)
    require_feasible_product(tasks)
    with StatusLine(progress) as line:
        found = [_found(each, model, line, len(tasks), i) for i, each in enumerate(tasks)]
        if len(tasks) == 1:
            claim, proof = found[0].claim, found[0].proof
        else:
            line.show(f"{model.name}: proving the product of {len(tasks)} blocks")
            claim = _joint(task, parts, found)
            proof = prove(claim, max_cells=max_cells)
            if not proof.proved:
                raise not_proved(claim, proof, 1)
        facts = metadata(tasks, found, parts, proof)
        line.leave(summary(model.name, facts, time.perf_counter() - began))
    return Certificate(claim, name or model.name, proof=proof, metadata=facts)


def _is_large(model: Model, X: Box | Polytope, parts: list[Block]) -> bool:
    """Whether a block of the plant has more states than a search by vertices can take, and the
    constraints are such that there is another way.
    """
    if not isinstance(X, Box) or not np.isfinite([np.asarray(X.lower), np.asarray(X.upper)]).all():
        return False
    sizes = [len(block.states) for block in parts] if len(parts) > 1 else [model.state_size]
    return max(sizes) > _MOST_STATES or not is_feasible_product(sizes)


def _found(task: Task, model: Model, line: StatusLine, blocks: int, index: int) -> Found:
    """The set of one block."""
    which = f", block {index + 1} of {blocks}" if blocks > 1 else ""
    if task.model.state_size == 1:
        return interval(task)
    return annealed(task, lambda text: line.show(f"{model.name}{which}, {text}"))


def _joint(task: Task, blocks: list[Block], found: list[Found]) -> Claim:
    safe_state_set = product(blocks, [f.safe_state_set for f in found], task.model.state_size)
    center = np.zeros(task.model.state_size)
    for block, part_found in zip(blocks, found, strict=True):
        center[list(block.states)] = part_found.center
    return claim_of(task, safe_state_set, center, tuple(blocks))
