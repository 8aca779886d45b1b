"""Search, prove, and search again nearer to the true disturbances, from what is proved."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._errors import CertificateError
from ..certificates import Block, Claim, Proof, prove
from ..sets import Polytope
from ..synthesis import SynthesisError, SynthesisResult, synthesise
from ._failure import not_proved
from ._task import Task

# A further facet must enlarge the set by this part: many facets make the safeguard slower.
_GAIN = 3e-3


class Found(NamedTuple):
    """A proved set of a plant, or of a block of it.

    Attributes:
        claim: What is proved.
        proof: Its proof.
        center: The point around which it was built, shape (n,).
        volume: The volume of the set.
        scale: How much larger than W the disturbances of its search were.
        programs: Number of quadratic programs solved, in all searches.
    """

    claim: Claim
    proof: Proof
    center: np.ndarray
    volume: float
    scale: float
    programs: int

    @property
    def safe_state_set(self) -> Polytope:
        """S."""
        return self.claim.safe_state_set


@dataclasses.dataclass
class _State:
    """What is known so far."""

    best: Found | None = None
    failed: tuple[Claim, Proof] | None = None
    error: SynthesisError | None = None
    tried: int = 0
    programs: int = 0


def annealed(task: Task, show: Callable[[str], None]) -> Found:
    """The largest set that was found and proved.

    The search checks sample points, the proof all of them. With disturbances that are larger than
    W, nearly everything that is found is proved, but where the disturbance is strong most of the
    volume is lost, or all of it. So the first search is careful, each further one starts from the
    set that is proved and is less so, and the largest proved set is kept.

    Args:
        task: What is asked for; two states at least.
        show: Called with a line of text whenever something else is done.

    Raises:
        SynthesisError: If no search found a set.
        NotProved: If sets were found, but none was proved.
    """
    state = _State()
    scales = task.effort.scales
    rays = np.zeros((0, task.model.state_size))
    first = min(4 * task.model.state_size, task.facets)
    for number, scale in enumerate(scales, start=1):
        facets = _even(first + (task.facets - first) * number / len(scales))
        heading = f"search {number} of {len(scales)}, W x {scale:g}"
        for _ in range(task.effort.rounds):
            found = _search(task, state, scale, facets, rays, lambda t: show(f"{heading}: {t}"))  # noqa: B023
            if found is None:
                break
            show(f"{heading}: proving {len(found.safe_state_set.H)} facets")
            counterexample = _judged(task, state, scale, found)
            if counterexample is None:
                break
            rays = np.concatenate([rays, counterexample[None]])
    if state.best is not None:
        return state.best._replace(programs=state.programs)
    if state.failed is not None:
        raise not_proved(*state.failed, state.tried)
    assert state.error is not None
    raise state.error


def _search(
    task: Task,
    state: _State,
    scale: float,
    facets: int,
    rays: np.ndarray,
    show: Callable[[str], None],
) -> SynthesisResult | None:
    effort, best = task.effort, state.best
    try:
        found = synthesise(
            task.model,
            task.constraints,
            task.disturbances,
            facets=facets if best is None else max(facets, len(best.safe_state_set.H)),
            center=task.center,
            seeds=effort.seeds,
            iterations=effort.iterations,
            margin=effort.margin,
            disturbance_scale=scale,
            symmetric=task.symmetric,
            warm_start=None if best is None else best.safe_state_set,
            counterexamples=rays,
            gain=_GAIN,
            progress=show,
        )
    except SynthesisError as error:
        state.error = error
        return None
    state.programs += found.iterations
    return found


def _judged(task: Task, state: _State, scale: float, found: SynthesisResult) -> np.ndarray | None:
    """Proves what was found and keeps it if it is the largest; a counterexample, if there is one
    and another search with it makes sense.
    """
    claim = claim_of(task, found.safe_state_set, found.center)
    proof = prove(claim, max_cells=task.effort.max_cells)
    state.tried += 1
    if not proof.proved:
        state.failed = claim, proof
        return proof.counterexample
    if state.best is None or found.volume > state.best.volume:
        state.best = Found(claim, proof, found.center, found.volume, scale, 0)
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
            blocks=blocks,
        )
    except CertificateError as error:
        raise CertificateError(f"A set was found, but it cannot be claimed: {error}") from error


def _even(facets: float) -> int:
    return 2 * (int(facets) // 2)
