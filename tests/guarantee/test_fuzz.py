"""Random models: what `prove` calls proved survives an attack on the system that runs."""

import collections

import numpy as np
import pytest
from counts import record
from guarantee.attack import attack
from guarantee.random_models import (
    REFUSED_TERMS,
    REFUSED_WAYS,
    TERMS,
    WAYS,
    Problem,
    Structure,
    problem,
    structures,
)
from hypothesis import HealthCheck, Phase, given, settings

from safe_wrappers import SafeWrappersError
from safe_wrappers.certificates import Claim, Proof, prove
from safe_wrappers.sets import Box

MAX_CELLS = 3_000


def claim_of(found: Problem) -> Claim:
    n = found.model.state_size
    return Claim(
        found.model,
        safe_state_set=found.S,
        constraint_set=Box.symmetric(np.full(n, 50.0)),
        disturbance_set=found.W,
    )


def verdict(structure: Structure, decide=prove):
    """The answer about a random model, and the attack on it if it is proved."""
    try:
        claim = claim_of(problem(structure))
        status = decide(claim, max_cells=MAX_CELLS).status
    except SafeWrappersError as error:
        return "refused", str(error), None
    if status != "proved":
        return status, "", None
    return status, "", attack(claim, seed=structure.seed)


def fuzz(examples: int, decide=prove):
    """Attacks random models; counts answers, and answers by each term and each way."""
    answers, parts = collections.Counter(), collections.Counter()
    attacks, reasons = [], collections.Counter()

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(structures())
    def each(structure):
        status, reason, result = verdict(structure, decide)
        answers[status] += 1
        reasons[reason[:120]] += bool(reason)
        ways = {("action", structure.action)}
        ways |= {("disturbance", structure.disturbance)} if structure.k else set()
        parts.update((part, status) for part in {*structure.terms, *ways})
        if result is not None:
            attacks.append((structure, result))

    each()
    print(f"\n{sum(answers.values())} random models: {dict(answers)}")
    for reason, count in reasons.most_common(12):
        print(f"  {count:4d} x {reason}")
    broken = [(structure, result) for structure, result in attacks if result.exits]
    steps = sum(result.steps for _, result in attacks)
    print(f"{len(attacks)} attacks, {steps:,} steps: {len(broken)} models with exits")
    if decide is prove:
        record(
            caught=sum(answers.values()) - len(broken),
            unsafe=len(broken),
            note="Random models; what is proved is attacked.",
            suite="fuzz/random models",
        )
    return answers, parts, attacks, broken


def assert_sound(answers, parts, attacks, broken):
    assert not broken
    assert not [pair for pair in attacks if pair[1].flagged]
    for name in REFUSED_TERMS:
        assert parts[name, "proved"] == 0
    for name in REFUSED_WAYS:
        for argument in ("action", "disturbance"):
            assert parts[(argument, name), "proved"] == 0
    # A fuzz in which nothing is proved tests nothing.
    total = sum(answers.values())
    assert answers["proved"] >= 0.25 * total
    assert answers["counterexample"] + answers["inconclusive"] >= 0.1 * total


@pytest.mark.slow
def test_what_is_proved_survives_the_attack():
    assert_sound(*fuzz(20))


def always_proved(claim, max_cells):
    return Proof("proved", 1, 0, 1.0, 0.0, None, "Trust me.")


def test_the_attack_breaks_a_prover_that_proves_everything():
    answers, _, _, broken = fuzz(20, always_proved)
    assert set(answers) == {"proved", "refused"}
    assert len(broken) >= 2
    # No exit goes unseen by the rows, except where they are not those of the function.
    assert all(result.flagged for structure, result in broken)


@pytest.mark.slow
def test_what_is_proved_survives_the_attack_on_many_models():
    answers, parts, attacks, broken = fuzz(500)
    assert_sound(answers, parts, attacks, broken)
    never = [name for name in TERMS if not parts[name, "proved"]]
    print(f"never part of a proved model: {', '.join(never)}")
    assert set(never) == REFUSED_TERMS
    for argument in ("action", "disturbance"):
        assert all(parts[(argument, way), "proved"] for way in set(WAYS) - REFUSED_WAYS)
