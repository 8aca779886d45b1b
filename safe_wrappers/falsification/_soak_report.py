"""What a soak has counted."""

import dataclasses

from ..conformance import violation_bound

BETA = 0.05  # of the bounds: they hold with a confidence of 95 %


@dataclasses.dataclass(frozen=True, eq=False)
class SoakReport:
    """What many steps under worst-case disturbances came to, from `soak`.

    Attributes:
        system: What the plant is called.
        safeguard: What was tried, or "none".
        claim: Digest of the claim that the steps were judged against; None if there is none, and
            the system's margin decided.
        steps: Steps that began in the safe set: all that were judged.
        exits: Those that left it, or would have left it under another disturbance in W.
        unsafe_actions: Those whose executed action lay outside the action box, or was not finite.
        episodes: Episodes, each from a start of its own.
        episodes_left: Those with an unsafe step of either kind.
        margin: The least margin of all steps, in float64.
        seconds: How long it took, all calls together.
        seed: Random seed.
        memory: Memory of the process over time: pairs (steps, MiB).
        compilations: Programs that were compiled after the first round of a call.
        state_file: Where a further call goes on, or None.
    """

    system: str
    safeguard: str
    claim: str | None
    steps: int
    exits: int
    unsafe_actions: int
    episodes: int
    episodes_left: int
    margin: float
    seconds: float
    seed: int
    memory: tuple[tuple[int, float], ...]
    compilations: int
    state_file: str | None

    @property
    def held(self) -> bool:
        """Whether there was no unsafe step."""
        return self.exits == 0 and self.unsafe_actions == 0

    @property
    def bound(self) -> float:
        """At most this share of steps leaves the safe set, with a confidence of 95 %, if steps were
        independent: about 3 / steps without an exit (Clopper and Pearson 1934, one-sided).
        """
        return violation_bound(self.steps, self.exits + 1, BETA)

    @property
    def episode_bound(self) -> float:
        """The same for episodes, which are independent: at most this share of them has an unsafe
        step, with a confidence of 95 %.
        """
        return violation_bound(self.episodes, self.episodes_left + 1, BETA)

    @property
    def message(self) -> str:
        """The answer, in one or two sentences."""
        found = (
            f"held: {self.steps:,} steps, no exit"
            if self.held
            else f"did not hold: {self.steps:,} steps, {self.exits:,} exits, "
            f"{self.unsafe_actions:,} unsafe actions"
        )
        return (
            f"{found}; the least margin was {self.margin:.3g}. With a confidence of 95 % at most "
            f"{self.bound:.2g} of such steps are exits. That is a test, not a proof."
        )
