"""Claims away from the origin: random models whose coordinates were moved, and forged files.

A model f that was moved by t is f(x - t) + t. The claim about it is as true as that about f, and
float32 loses more only by what states of that size are rounded.
"""

import collections
import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from guarantee.attack import attack, float32_states
from guarantee.forging import drop, forge, plus, put, record_forgery, times
from guarantee.oracle import falsehoods
from guarantee.random_models import REFUSED_TERMS, REFUSED_WAYS, TERMS, WAYS, Structure, problem
from off_center import DRONE_H, drone, drone_claim, drone_plant

from safe_wrappers import CertificateError, ModelError, SafeWrappersError
from safe_wrappers.certificates import Certificate, Claim, guarantee_of, prove
from safe_wrappers.models import Model
from safe_wrappers.safe_actions import ModelSystem
from safe_wrappers.sets import Box, Polytope

MAX_CELLS = 3_000
# Terms that x - t may not enter rounded: those that jump, where it would have to be compared
# exactly, and a power whose slope is computed with negative exponents near 0.
NOT_ROUNDED = {
    "pow of abs",
    "sign",
    "where",
    "where and",
    "where of states",
    "where of a value",
    "condition as a number",
    "cond",
    "cast of a flag",
}


def structure_of(seed):
    rng = np.random.default_rng(seed)
    # One action: two take long to compile, and tests/integration/test_off_center.py has them.
    n, d, k = int(rng.integers(1, 4)), 1, int(rng.integers(3))
    # What is refused as it stands is no question here.
    refused = REFUSED_TERMS | {"wrong derivative", "clipped gradient"}
    terms = sorted(set(TERMS) - refused - NOT_ROUNDED)
    ways = sorted(set(WAYS) - REFUSED_WAYS - {"where"})
    return Structure(
        n,
        d,
        k,
        tuple(str(t) for t in rng.choice(terms, rng.integers(1, 4))),
        str(rng.choice(ways)),
        str(rng.choice(ways)),
        seed,
    )


def moved_by(found, t):
    """The model and the set of a problem, moved, and the limits of both."""

    def step(x, a, w):
        return found.model.step(x - t, a, w) + t

    model = found.model
    sizes = model.state_size, model.action_size, model.disturbance_size
    H = np.asarray(found.S.H)
    return (
        Model("moved", step, *sizes),
        Polytope(H.astype(np.float64), 1 + H.astype(np.float64) @ t),
        Box(np.full(len(t), -50.0) + t, np.full(len(t), 50.0) + t),
    )


def claims(seed):
    """The claim about a random model, and that about the same model somewhere else."""
    found = problem(structure_of(seed))
    t = np.random.default_rng(seed).uniform(-20, 20, found.model.state_size).astype(np.float32)
    parts = {"disturbance_set": found.W, "sigma": 5e-4}
    X = Box.symmetric(np.full(len(t), 50.0))
    model, S, limits = moved_by(found, t)
    return (
        Claim(found.model, safe_state_set=found.S, constraint_set=X, **parts),
        Claim(model, safe_state_set=S, constraint_set=limits, center=t, **parts),
    )


def answer(claim):
    try:
        return prove(claim, max_cells=MAX_CELLS)
    except SafeWrappersError as error:
        return str(error)


@pytest.mark.slow
def test_a_claim_is_as_true_somewhere_else_and_its_rows_are_the_same():
    statuses, steps = collections.Counter(), 0
    for seed in range(101, 109):
        here, there = claims(seed)
        np.testing.assert_allclose(there.safe_state_set.H, here.safe_state_set.H, rtol=2e-7)
        assert np.all(there.eps >= here.eps - 1e-9)
        assert np.all(there.eps <= here.eps + 5e-5)
        first, second = answer(here), answer(there)
        assert first.status == second.status, (seed, first.reason, second.reason)
        statuses[first.status] += 1
        if not first.proved:
            continue
        # Another search: the vertices come in another order.
        assert second.cells <= 3 * first.cells + 100
        result = attack(there, seed)
        assert (result.exits, result.flagged) == (0, 0)
        steps += result.steps
        same_rows(here, there, seed)
    print(f"{dict(statuses)}, {steps:,} steps")
    assert statuses["proved"] >= 4
    assert sum(statuses.values()) - statuses["proved"] >= 1


def same_rows(here, there, seed):
    """Rows, anchors and margins of both systems at states that float32 holds in both places."""
    systems = [ModelSystem(claim, state=lambda x: x) for claim in (here, there)]
    y = float32_states(there, 50, seed) - there.center
    inside = np.asarray(here.safe_state_set.H) @ y.T <= 0.999
    y = y[inside.all(axis=0)]

    @jax.vmap
    def first(y):
        rows = systems[0].safe_action_set(y)
        return rows.A, rows.b, rows.anchor, systems[0].margin(y)

    @jax.vmap
    def second(y):
        rows = systems[1].safe_action_set(y + there.center)
        return rows.A, rows.b, rows.anchor, systems[1].margin(y + there.center)

    found = [[np.asarray(part) for part in f(jnp.asarray(y))] for f in (first, second)]
    allowed = 2 * (here.eps + there.eps).max()
    for one, other, bound in zip(*found, (allowed, allowed, 0.05, allowed), strict=True):
        np.testing.assert_allclose(one, other, atol=bound)


def test_a_model_that_moved_without_its_set_is_never_proved():
    """The set somewhere else, the model not, and the other way round."""
    answers = collections.Counter()
    for seed in range(101, 105):
        here, there = claims(seed)
        t = there.center
        for model, place in ((here.model, t), (there.model, -t), (there.model, 0 * t)):
            H = np.asarray(there.safe_state_set.H, np.float64)
            moved = Polytope(H, 1 + H @ place)
            try:
                claim = dataclasses.replace(
                    there, model=model, safe_state_set=moved, center=place, eps=None, gain=None
                )
            except SafeWrappersError:
                answers["refused"] += 1
                continue
            found = answer(claim)
            answers["error" if isinstance(found, str) else found.status] += 1
    print(dict(answers))
    assert not answers["proved"]
    assert answers["counterexample"] >= 4


# Files.

S = "safe_state_set"
FORGERIES = {
    "no centre": drop("center"),
    "the origin": put("center", [0.0, 0.0]),
    "a centre outside": put("center", [20.0, 0.0]),
    "a centre on the boundary": put("center", [9.0, 0.0]),
    "another centre inside": put("center", [4.0, 0.5]),
    "a centre a little aside": put("center", plus(1e-4)),
    "a centre near the boundary": put("center", [8.999, 0.0]),
    "a centre of one number": put("center", [5.0]),
    "a centre as text": put("center", ["5.0", "0.0"]),
    "a centre of null": put("center", [None, 0.0]),
    "a centre of booleans": put("center", [True, False]),
    "a centre beyond float32": put("center", [1e39, 0.0]),
    "a centre that is a number": put("center", 5.0),
    "the set mirrored": put(S, "h", (1 - DRONE_H @ [5.0, 0.0]).tolist()),
    "the set half a metre higher": put(
        S, "h", lambda h: (np.array(h) + DRONE_H @ [0.5, 0.0]).tolist()
    ),
    "set and centre half a metre higher": lambda content: (
        put(S, "h", lambda h: (np.array(h) + DRONE_H @ [0.5, 0.0]).tolist())(content),
        put("center", [5.5, 0.0])(content),
    ),
    "offsets larger by a thousandth": put(S, "h", plus(1e-3)),
    "offsets larger by 5 %": put(S, "h", plus(5e-2)),
    "offsets one float32 number up": put(
        S, "h", lambda h: np.nextafter(np.float32(h), np.float32(np.inf)).astype(float).tolist()
    ),
    "offsets all 1": put(S, "h", [1.0] * len(DRONE_H)),
    "rows half as long": put(S, "H", times(0.5)),
    "rows and offsets half as long": lambda content: (
        put(S, "H", times(0.5))(content),
        put(S, "h", times(0.5))(content),
    ),
    "eps of the origin": put("eps", times(0.1)),
    "eps 0": put("eps", times(0.0)),
}


def test_forged_files_of_a_set_away_from_the_origin(tmp_path):
    claim = drone_claim(center=[5.0, 0.0])
    Certificate(claim, "hall", proof=prove(claim)).save(tmp_path / "hall.json")
    content = json.loads((tmp_path / "hall.json").read_text())
    model, answers = drone(), {}
    for name, change in FORGERIES.items():
        path = forge(tmp_path / "forged.json", content, model, change)
        try:
            certificate = Certificate.load(path, model)
        except (CertificateError, ModelError) as error:
            record_forgery(False)
            answers[name] = "refused", str(error)
            continue
        forged = certificate.claim
        proof = prove(forged, max_cells=MAX_CELLS)
        assert (guarantee_of(forged, certificate).status == "proved") == proof.proved
        false = falsehoods(forged, drone_plant)
        record_forgery(bool(proof.proved and false))
        assert not (proof.proved and false), (name, proof.reason, false)
        answers[name] = proof.status, ", ".join(false) or "nothing false was found"
    for name, (status, why) in answers.items():
        print(f"{name:36s} {status:15s} {why[:100]}")
    proved = {name for name, (status, _) in answers.items() if status == "proved"}
    # Rounded down again when the claim is made, this is the same set.
    assert proved == {"offsets one float32 number up"}
    assert all(
        "`" in why or "must" in why for status, why in answers.values() if status == "refused"
    )


def test_a_file_without_its_centre_has_no_record_of_this_claim(tmp_path):
    claim = drone_claim(center=[5.0, 0.0])
    Certificate(claim, "hall", proof=prove(claim)).save(tmp_path / "hall.json")
    content = json.loads((tmp_path / "hall.json").read_text())
    # The record is of another claim: as the forger did not make one.
    path = tmp_path / "forged.json"
    forge(path, content, drone(), put("center", [4.0, 0.5]), put("record", "margin", 0.5))
    with pytest.raises(CertificateError, match="record of a proof of another claim"):
        Certificate.load(path, drone())
