"""Search, prove, and search again less carefully, from what is proved."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._errors import CertificateError
from ..certificates import Block, Claim, Proof, prove
from ..sets import Polytope
from ..synthesis import SynthesisError, SynthesisResult, mirror_symmetric, synthesise
from ._failure import not_proved
from ._largest_set import LargestSet, largest_set
from ._polygon import polygon, well_inside
from ._task import Task

# A further facet must enlarge the set by this part: many facets make the safeguard slower.
_GAIN = 3e-3
# A corner of the largest set in the plane is kept if it holds this part of the area.
_CORNER = 5e-4
# What the search leaves at its sample points, in the plane and elsewhere.
_MARGINS = (1e-3, 2e-3)


class Found(NamedTuple):
    """A proved set of a plant, or of a block of it.

    Attributes:
        claim: What is proved.
        proof: Its proof.
        center: The point around which it was built, shape (n,).
        volume: The volume of the set.
        scale: How much larger than W the disturbances of its search were.
        programs: Number of quadratic programs solved, in all searches.
        largest: About the volume of the largest safe set that there is; None if it is not known.
    """

    claim: Claim
    proof: Proof
    center: np.ndarray
    volume: float
    scale: float
    programs: int
    largest: float | None = None

    @property
    def safe_state_set(self) -> Polytope:
        """S."""
        return self.claim.safe_state_set


class Stage(NamedTuple):
    """How careful a search is.

    Attributes:
        scale: It takes the disturbances to be so many times as large as they are.
        margin: It leaves this margin at the sample points.
        facets: Most facets.
    """

    scale: float
    margin: float
    facets: int


@dataclasses.dataclass
class _Progress:
    """What is known so far."""

    show: Callable[[str], None]
    best: Found | None = None
    failed: tuple[Claim, Proof] | None = None
    unclaimed: CertificateError | None = None
    error: SynthesisError | None = None
    tried: int = 0
    programs: int = 0


def annealed(task: Task, show: Callable[[str], None]) -> Found:
    """The largest set that was found and proved.

    The search checks sample points, the proof all of them. With disturbances that are larger than
    W, nearly everything that is found is proved, but where the disturbance is strong most of the
    volume is lost, or all of it. So the first search is careful, each further one starts from the
    set that is proved and is less so, and the largest proved set is kept.

    In the plane a better start is known: a polygon in the largest safe set there is, found on a
    grid. If a set near it is proved, no other search is needed.

    Args:
        task: What is asked for; two states at least.
        show: Called with a line of text whenever something else is done.

    Raises:
        SynthesisError: If no search found a set.
        NotProved: If sets were found, but none was proved.
        CertificateError: If sets were found, but float32 loses too much to claim any of them.
    """
    progress, largest = _Progress(show), None
    if task.model.state_size == 2:
        show("the largest safe set on a grid")
        largest = largest_set(task.model, task.constraints, task.disturbances)
        task = _recentered(task, largest)
    task = _decided(task)
    if task.model.state_size == 2:
        start = None if largest is None else _polygon(task, largest.points)
        if start is not None:
            _climb(task, progress, _last_stages(task, len(start.H)), start)
    if progress.best is None:
        # If the grid shows no safe set, one search is enough to say why.
        hopeless = largest is not None and largest.area == 0
        _climb(task, progress, _stages(task)[-1:] if hopeless else _stages(task), None)
    if progress.best is not None:
        area = None if largest is None else largest.area
        return progress.best._replace(programs=progress.programs, largest=area)
    if progress.failed is not None:
        raise not_proved(*progress.failed, progress.tried)
    if progress.unclaimed is not None:
        raise progress.unclaimed
    assert progress.error is not None
    raise progress.error


def _recentered(task: Task, largest: LargestSet | None) -> Task:
    """The task around a point of the largest safe set, if its centre is not far enough inside and
    was not asked for.
    """
    if task.settled or largest is None or largest.area == 0:
        return task
    if well_inside(largest.points, task.center):
        return task
    return dataclasses.replace(task, center=largest.points.mean(axis=0))


def _decided(task: Task) -> Task:
    """The task with its symmetry decided, and a number of facets that fits it."""
    symmetric = task.symmetric
    if symmetric is None:
        symmetric = mirror_symmetric(task.model, task.constraints, task.disturbances, task.center)
    facets = 2 * (task.facets // 2) if symmetric else task.facets
    return dataclasses.replace(
        task, symmetric=symmetric, effort=task.effort._replace(facets=facets)
    )


def _polygon(task: Task, points: np.ndarray) -> Polytope | None:
    return polygon(points, task.center, task.facets, _CORNER, symmetric=bool(task.symmetric))


def _stages(task: Task) -> list[Stage]:
    """From careful to bold, with more and more facets."""
    scales, margin = task.effort.scales, _margin(task)
    first = min(4 * task.model.state_size, task.facets)
    more = (task.facets - first) / len(scales)
    stages = [
        Stage(scale, margin, 2 * (int(first + more * number) // 2))
        for number, scale in enumerate(scales, start=1)
    ]
    return [*stages, Stage(scales[-1], margin / 2, task.facets)]


def _last_stages(task: Task, facets: int) -> list[Stage]:
    scale, margin = task.effort.scales[-1], _margin(task)
    return [Stage(scale, margin, facets), Stage(scale, margin / 2, facets)]


def _margin(task: Task) -> float:
    given = task.effort.margin
    return _MARGINS[task.model.state_size > 2] if given is None else given


def _climb(task: Task, progress: _Progress, stages: list[Stage], start: Polytope | None) -> None:
    """Goes through the stages; each one starts from the largest proved set, if there is one."""
    rays = np.zeros((0, task.model.state_size))
    for number, stage in enumerate(stages, start=1):
        heading = f"search {number} of {len(stages)}, W x {stage.scale:g}"
        for _ in range(task.effort.rounds):
            warm = start if progress.best is None else progress.best.safe_state_set
            found = _search(task, progress, stage, heading, warm, rays)
            if found is None:
                break
            progress.show(f"{heading}: proving {len(found.safe_state_set.H)} facets")
            counterexample = _judged(task, progress, stage, found)
            if counterexample is None:
                break
            rays = np.concatenate([rays, counterexample[None]])


def _search(
    task: Task,
    progress: _Progress,
    stage: Stage,
    heading: str,
    warm: Polytope | None,
    rays: np.ndarray,
) -> SynthesisResult | None:
    try:
        found = synthesise(
            task.model,
            task.constraints,
            task.disturbances,
            facets=stage.facets if warm is None else max(stage.facets, len(warm.H)),
            center=task.center,
            seeds=task.effort.seeds,
            iterations=task.effort.iterations,
            margin=stage.margin,
            disturbance_scale=stage.scale,
            symmetric=task.symmetric,
            warm_start=warm,
            counterexamples=rays,
            gain=_GAIN,
            provable=False,  # which is known already
            progress=lambda text: progress.show(f"{heading}: {text}"),
        )
    except SynthesisError as error:
        progress.error = error
        return None
    progress.programs += found.iterations
    return found


def _judged(
    task: Task, progress: _Progress, stage: Stage, found: SynthesisResult
) -> np.ndarray | None:
    """Proves what was found and keeps it if it is the largest; a counterexample, if there is one
    and another search with it makes sense.
    """
    try:
        claim = claim_of(task, found.safe_state_set, found.center)
    except CertificateError as error:
        # A facet where float32 loses too much; what is proved stays, and the next set may do.
        progress.unclaimed = error
        return None
    proof = prove(claim, max_cells=task.effort.max_cells)
    progress.tried += 1
    if not proof.proved:
        progress.failed = claim, proof
        return proof.counterexample
    if progress.best is None or found.volume > progress.best.volume:
        progress.best = Found(claim, proof, found.center, found.volume, stage.scale, 0)
    return None


def claim_of(
    task: Task, safe_state_set: Polytope, center: np.ndarray, blocks: tuple[Block, ...] = ()
) -> Claim:
    """The claim about a set of the task.

    Raises:
        CertificateError: If float32 loses too much in the units of the model.
    """
    try:
        return Claim(
            task.model,
            safe_state_set=safe_state_set,
            constraint_set=task.constraints,
            disturbance_set=task.disturbances,
            center=center,
            blocks=blocks,
        )
    except CertificateError as error:
        raise CertificateError(f"A set was found, but it cannot be claimed: {error}") from error
