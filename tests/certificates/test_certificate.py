import dataclasses
import importlib.resources
import json
import os

import numpy as np
import pytest

from safe_wrappers import CertificateError
from safe_wrappers.certificates import Certificate, Claim, model_name, prove
from safe_wrappers.certificates._file import _checksum
from safe_wrappers.envs.dynamics import cart_pole, pendulum
from safe_wrappers.models import Model
from safe_wrappers.sets import Box, Polytope


@pytest.fixture
def path(upright, tmp_path):
    path = tmp_path / "upright.json"
    Certificate(upright, "upright").save(path)
    return path


def edited(path, change):
    """The file with its content changed and its old checksum."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def forged(path, change):
    """The file with its content changed and a new checksum."""

    def rewritten(content):
        content.pop("checksum")
        change(content)
        content["checksum"] = _checksum(content)

    return edited(path, rewritten)


def load(path):
    return Certificate.load(path, pendulum())


def assert_equal(first: Certificate, second: Certificate):
    assert first.name == second.name
    assert first.record == second.record
    assert first.claim.digest == second.claim.digest
    a, b = first.claim, second.claim
    for one, other in zip(
        a.safe_state_set.halfspaces(), b.safe_state_set.halfspaces(), strict=True
    ):
        assert one.dtype == other.dtype == np.float32
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(a.eps, b.eps)
    np.testing.assert_array_equal(a.gain, b.gain)


@pytest.mark.smoke
def test_save_and_load_round_trip_exactly(upright, path):
    assert_equal(Certificate(upright, "upright"), load(path))
    assert_equal(Certificate(upright, "upright"), load(str(path)))


def test_the_record_of_a_proof_round_trips(upright, tmp_path):
    certificate = Certificate(upright, "upright", proof=prove(upright))
    certificate.save(tmp_path / "proved.json")
    loaded = load(tmp_path / "proved.json")
    assert loaded.record == certificate.record
    assert (loaded.record.claim, loaded.record.program) == (upright.digest, upright.program)


def test_generators_and_infinite_bounds_round_trip(walter, tmp_path):
    Certificate(walter, "walter").save(tmp_path / "walter.json")
    loaded = load(tmp_path / "walter.json")
    assert_equal(Certificate(walter, "walter"), loaded)
    assert np.all(np.isinf(loaded.claim.constraint_set.upper))
    np.testing.assert_array_equal(loaded.claim.generators.generators, walter.generators.generators)


def test_a_polytope_of_constraints_and_metadata_round_trip(upright_rows, tmp_path):
    X = Polytope(np.array([[0.5, 1 / 3]]), np.array([7.1]))
    metadata = {"how": "by hand", "volume": 32.6, "seeds": [1, 2]}
    claim = Claim(
        pendulum(),
        safe_state_set=Polytope(upright_rows, np.ones(10)),
        constraint_set=X,
        disturbance_set=Box.symmetric([0.1]),
    )
    Certificate(claim, "x", metadata=metadata).save(tmp_path / "x.json")
    loaded = load(tmp_path / "x.json")
    np.testing.assert_array_equal(loaded.claim.constraint_set.H, X.H)
    assert loaded.metadata == metadata


def test_package_resources_are_loaded(path, upright):
    resource = importlib.resources.files("safe_wrappers").joinpath(str(path))
    assert_equal(Certificate(upright, "upright"), load(resource))


def test_the_file_is_readable_and_strict_json(path):
    text = path.read_text()
    assert (
        '\n  "disturbance_set": {\n    "type": "box",\n    "dtype": "float32",\n    "lower": '
        "[-0.1]," in text
    )
    json.loads(text, parse_constant=lambda name: pytest.fail(name))


def test_saving_is_atomic_and_leaves_nothing_behind(upright, path, monkeypatch):
    before = path.read_text()

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        Certificate(upright, "other").save(path)
    assert path.read_text() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["safe_state_set"]["H"][0].__setitem__(
            0, c["safe_state_set"]["H"][0][0] * 0.999
        ),
        lambda c: c.__setitem__("sigma", 1e-3),
        lambda c: c["model"]["parameters"].__setitem__("dt", 0.04),
        lambda c: c["next_states"][3].__setitem__(0, 0.0),
        lambda c: c.__setitem__("extra", 1),
        lambda c: c.pop("eps"),
        lambda c: c.pop("checksum"),
    ],
)
def test_every_change_by_hand_is_found(path, change):
    with pytest.raises(CertificateError, match="checksum"):
        load(edited(path, change))


@pytest.mark.parametrize(
    "key",
    [
        "name",
        "model",
        "safe_state_set",
        "disturbance_set",
        "constraint_set",
        "sigma",
        "eps",
        "gain",
        "record",
        "metadata",
        "next_states",
        "action_size",
        "generators",
        "blocks",
    ],
)
def test_missing_entries_are_named_even_with_a_valid_checksum(path, key):
    with pytest.raises(CertificateError, match=key):
        load(forged(path, lambda content: content.pop(key)))


@pytest.mark.parametrize("version", [1, 3, True, "2", None])
def test_another_version_is_refused_before_anything_else(path, version):
    with pytest.raises(CertificateError, match=r"this release reads version 2"):
        load(edited(path, lambda c: c.__setitem__("format_version", version)))


@pytest.mark.parametrize("length", [0, 10, 500, -20])
def test_truncated_files_are_refused(path, length):
    path.write_text(path.read_text()[:length])
    with pytest.raises(CertificateError, match="complete JSON"):
        load(path)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        '"text"',
        '{"format": "other"}',
        '{"sigma": NaN}',
        '{"sigma": 1e400}',
        "[" * 5000 + "]" * 5000,
    ],
    ids=["list", "empty", "text", "other format", "NaN", "1e400", "nested"],
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "file.json").write_text(content)
    with pytest.raises(CertificateError):
        load(tmp_path / "file.json")


def test_what_is_no_regular_file_or_too_large_is_refused_before_it_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(CertificateError, match="no regular file"):
        load(tmp_path / "pipe.json")
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    with pytest.raises(CertificateError, match="more than the"):
        load(tmp_path / "large.json")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CertificateError, match="cannot be read: No such file"):
        load(tmp_path / "nothing.json")


@pytest.mark.parametrize("name", ["", "x" * 101, "a\x1b[31m", 5, None])
def test_a_name_must_be_printable_and_short(upright, name):
    with pytest.raises(CertificateError, match="`name` must be a printable text"):
        Certificate(upright, name)


def test_the_model_that_a_file_is_about_can_be_asked(path, tmp_path):
    assert model_name(path) == "safe_pendulum"
    with pytest.raises(CertificateError, match="cannot be read"):
        model_name(tmp_path / "nothing.json")


def test_other_models_are_refused_with_the_reason(path):
    with pytest.raises(
        CertificateError, match="about the model 'safe_pendulum', not 'safe_cart_pole'"
    ):
        Certificate.load(path, cart_pole())
    with pytest.raises(CertificateError, match=r"torque = 27\.0 instead of 30\.0"):
        Certificate.load(path, pendulum(torque=27.0))
    original = pendulum()
    for factor in (0.9, 0.9999):
        liar = dataclasses.replace(
            original, step=lambda x, a, w, factor=factor: original.step(x, factor * a, w)
        )
        with pytest.raises(CertificateError, match="another function"):
            Certificate.load(path, liar)


def test_points_cannot_be_chosen_by_the_file(path):
    """At the origin alone, every model without offset would fit."""

    def at_the_origin(content):
        content["next_states"] = np.zeros((64, 2)).tolist()

    with pytest.raises(CertificateError, match="another function"):
        load(forged(path, at_the_origin))


def test_a_record_of_another_claim_is_refused(upright, path, tmp_path):
    proved = tmp_path / "proved.json"
    Certificate(upright, "upright", proof=prove(upright)).save(proved)

    def narrower(content):
        content["disturbance_set"]["lower"] = [-0.2]

    with pytest.raises(CertificateError, match="record of a proof of another claim"):
        load(forged(proved, narrower))


def test_a_failed_proof_cannot_be_recorded(certify, upright_rows):
    claim = certify(upright_rows, w=2.0)
    with pytest.raises(CertificateError, match="Only a proof that succeeded can be recorded"):
        Certificate(claim, "false", proof=prove(claim))


def test_a_model_without_parameters_can_be_certified(tmp_path):
    model = Model("plain", lambda x, a, w: 0.5 * x + 0.1 * a + w, 1, 1, 1)
    claim = Claim(
        model,
        safe_state_set=Polytope([[1.0], [-1.0]], [1.0, 1.0]),
        constraint_set=Box.symmetric([2.0]),
        disturbance_set=Box.symmetric([0.1]),
    )
    Certificate(claim, "plain").save(tmp_path / "plain.json")
    assert Certificate.load(tmp_path / "plain.json", model).claim.digest == claim.digest


def test_a_number_beyond_all_others_is_refused(path):
    text = path.read_text()
    assert '"sigma": 0.0002' in text
    path.write_text(text.replace('"sigma": 0.0002', '"sigma": 1e999'))
    with pytest.raises(CertificateError, match="1e999 is no finite number"):
        load(path)
