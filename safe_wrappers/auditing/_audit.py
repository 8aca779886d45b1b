"""All questions of an audit, one after the other, and the verdict."""

import dataclasses
import datetime
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from .._gate import as_integer, as_number, as_seed
from ..certificates import Guarantee
from ..safeguards import Safeguard
from ._conformance_finding import conformance_finding
from ._finding import Finding
from ._promise import Promise, promise_of
from ._proof_finding import proof_finding
from ._provenance import provenance_of
from ._run_record import RunRecord, run_findings
from ._subject import guarantee_of, safeguard_finding, subject_of
from ._trials import Trial, attack_finding, soak_finding

Verdict = Literal["proved", "certified", "tested", "failed", "nothing judged"]

_TRIED = "nothing that was tried contradicts it"
_WORDS = {
    "proved": ("Holds", f"proved in this audit, and {_TRIED}."),
    "certified": ("Holds", f"by a lemma, checked in this audit, and {_TRIED}."),
    "tested": ("Tested, not proved", f"{_TRIED}, and nothing proves it for all that can happen."),
    "failed": ("Does not hold", ""),
    "nothing judged": ("Not judged", "nothing could be tried or proved."),
}


@dataclasses.dataclass(frozen=True, repr=False)
class Audit:
    """What an audit found out.

    Args:
        subject: What was audited.
        safeguard: The safeguard that was on, or "none".
        promise: What is promised.
        guarantee: What the library says stands behind it, after the proof of this audit.
        findings: The answers, one for each question.
        run: The training that the audit is about, or None.
        provenance: Versions, platform and digests by name.
        command: How to repeat the audit.
        date: When it was made, in UTC.
        seconds: How long it took.
    """

    subject: str
    safeguard: str
    promise: Promise
    guarantee: Guarantee
    findings: tuple[Finding, ...]
    run: RunRecord | None
    provenance: Mapping[str, str]
    command: str
    date: str
    seconds: float

    def __repr__(self) -> str:
        return f"Audit({self.subject}: {self.verdict}, {len(self.findings)} findings)"

    @property
    def failed(self) -> tuple[Finding, ...]:
        """What did not hold."""
        return tuple(found for found in self.findings if found.status == "failed")

    @property
    def judged(self) -> tuple[Finding, ...]:
        """What was judged: what held and what failed."""
        return tuple(found for found in self.findings if found.status != "not judged")

    @property
    def holds(self) -> bool:
        """Whether something was judged, and all that was judged held."""
        return bool(self.judged) and not self.failed

    @property
    def verdict(self) -> Verdict:
        """The answer in a word: "proved" only if this audit itself has proved it."""
        if self.failed:
            return "failed"
        if not self.judged:
            return "nothing judged"
        shown = any(found.key == "proof" and found.status == "held" for found in self.findings)
        return self.guarantee.status if shown else "tested"

    @property
    def headline(self) -> str:
        """The answer in a sentence."""
        return f"{self.word}: {self.reason}"

    @property
    def word(self) -> str:
        """The answer as a heading."""
        return _WORDS[self.verdict][0]

    @property
    def reason(self) -> str:
        """What follows the heading."""
        if self.verdict == "failed":
            return f"what failed: {', '.join(found.title.lower() for found in self.failed)}."
        return _WORDS[self.verdict][1]


def audit(
    env: Any,
    safeguard: Safeguard | str | None = None,
    *,
    budget: float = 60.0,
    steps: int = 1_000_000,
    samples: int = 10_000,
    seed: int = 0,
    simulator: Any | None = None,
    run: RunRecord | None = None,
    subject: str | None = None,
    digests: Mapping[str, str] | None = None,
    command: str | None = None,
    max_cells: int = 1_000_000,
    max_attack_steps: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Audit:
    """Finds out anew what a safety reviewer asks: what is promised under which assumptions, whether
    it is proved, whether the simulator does what the model says, whether an attack finds a way out
    of the safe set, and whether the state stays there for many steps.

    What cannot be judged is said, with the reason. All but the attack, which has a budget of time,
    gives the same numbers each time; with `max_attack_steps` the attack does, too.

    Args:
        env: A `ModelEnv`, such as a `CertifiedEnv`; an environment in a `SafeguardWrapper` or a
            `GymSafeguardWrapper`; or a claim or a certificate, whose model is then the plant.
        safeguard: The safeguard that is on, an object or a name, or "none". Default: the wrapper's
            own, else boundary projection.
        budget: Seconds for the attack, compilation included.
        steps: Steps of the soak.
        samples: Random steps in which a simulator is compared with the model.
        seed: Random seed of attack, soak and comparison.
        simulator: An environment with the same system that is compared with the model. Default:
            `env`, unless it steps the model itself.
        run: A training that the audit is about.
        subject: What is audited, in words. Default: the name of the class.
        digests: More digests by name, to be named in the report.
        command: How to repeat the audit. Default: a call of this function.
        max_cells: Simplices after which the proof gives up.
        max_attack_steps: Steps after which the attack ends, for numbers that do not depend on the
            speed of the machine.
        progress: Is told what is done, in a few words.

    Raises:
        TypeError: If `env` has no `system`, or an option is of another type.
        ValueError: If an option is out of range, or a safeguard is given to what has one.
    """
    budget = as_number("budget", budget, above=0.0)
    steps, samples = as_integer("steps", steps, 1), as_integer("samples", samples, 1)
    seed, began = as_seed(seed), time.perf_counter()
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    about = subject_of(env, safeguard)

    def tell(text: str) -> None:
        if progress is not None:
            progress(text)

    tell("the proof")
    findings = [safeguard_finding(about), proof_finding(about.inside, about.claim, max_cells)]
    tell("the simulator")
    compared = conformance_finding(simulator or about.simulator, samples, seed)
    trial = Trial(about.plant, about.acting, about.where, seed, progress)
    tell("the attack")
    findings.append(attack_finding(trial, budget, max_attack_steps))
    tell("the soak")
    findings += [soak_finding(trial, steps), compared]
    if run is not None:
        findings += run_findings(run)
    return Audit(
        subject=subject or about.name,
        safeguard=about.safeguard,
        promise=promise_of(about.inside, about.claim, about.certificate),
        guarantee=guarantee_of(about),
        findings=tuple(findings),
        run=run,
        provenance=provenance_of(about.claim, digests or {}),
        command=command or "`safe_wrappers.auditing.audit`, with the same arguments",
        date=date,
        seconds=time.perf_counter() - began,
    )
