"""Forged certificates: each field of a file and of a claim is changed, alone and in pairs.

A forgery must be refused on loading, not be proved, or be true, as far as an oracle in NumPy sees.
Nothing but a proof makes the library say "proved": the forger knows the checksum and every digest.
"""

import collections
import itertools
import json

import jax.numpy as jnp
import numpy as np
import pytest
from guarantee.forgeries import RECORDS, SINGLE
from guarantee.forging import forge, put, record_forgery, write
from guarantee.oracle import falsehoods
from plants import pendulum as pendulum_plant

from safe_wrappers import CertificateError, ModelError
from safe_wrappers.certificates import Certificate, guarantee_of, prove
from safe_wrappers.envs import load_certificate
from safe_wrappers.envs.dynamics import pendulum
from safe_wrappers.safe_actions import ModelSystem

MODEL = pendulum()
# Enough for every true claim here; false ones that are near are undecided by then.
MAX_CELLS = 2_000
# Of these, two at a time make other claims; the others are refused alone.
PAIRED = (
    "eps 0",
    "eps 0 of one facet",
    "gain 0",
    "sigma just with room",
    "S larger by 1 %",
    "S larger by 20 %",
    "S smaller",
    "S without a facet",
    "a facet moved out by 40 %",
    "W nothing",
    "W three times as wide",
    "W far away",
    "X narrower than S",
    "X wider than S",
    "generators longer by 1 %",
    "generators moved and short",
    "generators left out",
    "one block of everything",
)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The file of the paper's zonotope."""
    path = tmp_path_factory.mktemp("shipped") / "walter2025.json"
    load_certificate("safe_pendulum", "walter2025").save(path)
    return json.loads(path.read_text())


def loaded(path):
    """The certificate, or None and why it is refused: by an error of the library."""
    try:
        return Certificate.load(path, MODEL), ""
    except (CertificateError, ModelError) as error:
        return None, str(error)


def answer(path, content, *changes):
    """What becomes of a forgery: "refused", or the status of its proof and whether it is false."""
    certificate, reason = loaded(forge(path, content, MODEL, *changes))
    if certificate is None:
        record_forgery(False)
        return "refused", reason
    claim = certificate.claim
    before = ModelSystem(certificate, state=lambda x: x).guarantee
    proof = prove(claim, max_cells=MAX_CELLS)
    after = ModelSystem(certificate, state=lambda x: x).guarantee
    assert (after.status == "proved") == proof.proved, after
    if before.status == "proved":  # proved before in this process: an equal claim
        assert proof.proved
    false = falsehoods(claim, pendulum_plant)
    record_forgery(bool(proof.proved and false))
    assert not (proof.proved and false), (proof.reason, false)
    return proof.status, ", ".join(false) or "nothing false was found"


def test_a_forgery_of_one_field_is_refused_or_not_proved_or_true(content, tmp_path):
    answers = {
        name: answer(tmp_path / "forged.json", content, change) for name, change in SINGLE.items()
    }
    for name, (status, why) in answers.items():
        print(f"{name:34s} {status:15s} {why[:100]}")
    counts = collections.Counter(status for status, _ in answers.values())
    print(f"{len(answers)} forgeries: {dict(counts)}")
    assert len(answers) >= 80
    # Neither everything nor nothing is refused, or proved.
    assert min(counts[status] for status in ("refused", "proved", "counterexample")) >= 5


@pytest.mark.slow
def test_forgeries_of_two_fields_are_refused_or_not_proved_or_true(content, tmp_path):
    pairs = list(itertools.combinations(PAIRED, 2))
    chosen = np.random.default_rng(0).permutation(len(pairs))[:50]
    answers = []
    for first, second in (pairs[i] for i in chosen):
        changes = SINGLE[first], SINGLE[second]
        answers.append((first, second, *answer(tmp_path / "forged.json", content, *changes)))
        print(*answers[-1], sep=" | ")
    counts = collections.Counter(status for _, _, status, _ in answers)
    print(f"{len(answers)} pairs: {dict(counts)}")
    assert len(answers) == 50
    assert counts["proved"] > 0


@pytest.mark.parametrize("name", RECORDS)
def test_a_forged_record_is_refused_or_named_or_worth_nothing(name, content, tmp_path):
    """Of a claim that nobody proved in this process."""

    def with_a_record(content):
        content["sigma"] = 3e-4 + 1e-6 * list(RECORDS).index(name)

    path = forge(tmp_path / "forged.json", content, MODEL, with_a_record)
    forged = json.loads(path.read_text())
    RECORDS[name](forged)
    certificate, reason = loaded(write(path, forged))
    if certificate is None:
        record_forgery(False)
        assert "record" in reason
        return
    guarantee = ModelSystem(certificate, state=lambda x: x).guarantee
    record_forgery(guarantee.status == "proved")
    assert guarantee.status in ("certified", "tested")
    assert "`prove`" in guarantee.by


def test_a_false_claim_with_a_matching_record_is_never_called_proved(content, tmp_path):
    path = forge(tmp_path / "forged.json", content, MODEL, SINGLE["S larger by 20 %"])
    certificate = Certificate.load(path, MODEL)
    assert (certificate.record.claim, certificate.record.program) == (
        certificate.claim.digest,
        certificate.claim.program,
    )
    guarantee = ModelSystem(certificate, state=lambda x: x).guarantee
    assert guarantee.status == "certified"
    assert "a record is not signed" in guarantee.by
    assert prove(certificate.claim).status == "counterexample"
    assert guarantee_of(certificate.claim, certificate).status == "certified"


def test_the_records_that_come_with_the_library_count(monkeypatch):
    monkeypatch.setattr("safe_wrappers.certificates._proof._PROVED", {})
    certificate = load_certificate("safe_pendulum", "narrow")
    guarantee = ModelSystem(certificate, state=lambda x: x).guarantee
    assert guarantee.status == "proved"
    assert "'narrow'" in guarantee.by
    claim = ModelSystem(certificate.claim, state=lambda x: x).guarantee
    assert claim.status == "tested"


def test_the_same_claim_about_another_function_is_not_proved(content, tmp_path):
    """A bump of half a hundredth of a radian lies between all points of the fingerprint."""

    def bumped(x, a, w):
        bump = 6.0 * jnp.exp(-(((x[0] - 2.2) * 400.0) ** 2))
        return MODEL.step(x, a, w) + jnp.stack([0.0 * x[0], bump])

    other = type(MODEL)(MODEL.name, bumped, 2, 1, 1, MODEL.parameters)
    path = tmp_path / "forged.json"
    load_certificate("safe_pendulum", "full").save(path)
    certificate = Certificate.load(path, other)
    guarantee = ModelSystem(certificate, state=lambda x: x).guarantee
    assert guarantee.status != "proved"
    assert "another function that is near" in guarantee.by
    assert not prove(certificate.claim, max_cells=MAX_CELLS).proved


def test_an_entry_that_stands_there_twice_is_refused(content, tmp_path):
    path = forge(tmp_path / "forged.json", content, MODEL, put("sigma", 2.1e-4))
    path.write_text(path.read_text().replace('"sigma"', '"sigma": 9.0, "sigma"', 1))
    with pytest.raises(CertificateError, match="'sigma' stands there more than once"):
        Certificate.load(path, MODEL)
