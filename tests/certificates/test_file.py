import dataclasses
import importlib.resources
import json
import os

import numpy as np
import pytest

from safe_wrappers import CertificateError
from safe_wrappers.certificates import Certificate
from safe_wrappers.envs.dynamics import cart_pole, pendulum
from safe_wrappers.models import Model
from safe_wrappers.sets import Box, Polytope


@pytest.fixture
def path(upright, tmp_path):
    path = tmp_path / "upright.json"
    upright.save(path)
    return path


def edited(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def assert_equal(first: Certificate, second: Certificate):
    assert (first.name, first.model_name, first.parameters, first.sigma, first.action_size) == (
        second.name,
        second.model_name,
        second.parameters,
        second.sigma,
        second.action_size,
    )
    for a, b in zip(
        first.safe_state_set.halfspaces(), second.safe_state_set.halfspaces(), strict=True
    ):
        assert a.dtype == b.dtype == np.float32
        np.testing.assert_array_equal(a, b)
    for name in ("constraint_set", "disturbance_set"):
        for end in ("lower", "upper"):
            a, b = (getattr(getattr(c, name), end) for c in (first, second))
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(first.eps, second.eps)
    np.testing.assert_array_equal(first.gain, second.gain)
    for key, value in first.probes.items():
        np.testing.assert_array_equal(value, second.probes[key])


def test_save_and_load_round_trip_exactly(upright, path):
    assert_equal(upright, Certificate.load(path))
    assert_equal(upright, Certificate.load(str(path)))


def test_generators_and_infinite_bounds_round_trip(walter, tmp_path):
    walter.save(tmp_path / "walter.json")
    loaded = Certificate.load(tmp_path / "walter.json")
    assert_equal(walter, loaded)
    assert np.all(np.isinf(loaded.constraint_set.upper))
    np.testing.assert_array_equal(loaded.zonotope.generators, walter.zonotope.generators)


def test_a_polytope_of_constraints_and_metadata_round_trip(upright_rows, tmp_path):
    X = Polytope(np.array([[0.5, 1 / 3]]), np.array([7.1]))
    metadata = {"how": "by hand", "volume": 32.6, "seeds": [1, 2]}
    certificate = Certificate.create(
        pendulum(),
        Polytope(upright_rows, np.ones(10)),
        X,
        Box.symmetric([0.1]),
        name="x",
        metadata=metadata,
    )
    certificate.save(tmp_path / "x.json")
    loaded = Certificate.load(tmp_path / "x.json")
    np.testing.assert_array_equal(loaded.constraint_set.H, X.H)
    assert loaded.metadata == metadata


def test_package_resources_are_loaded(path, upright):
    assert_equal(
        upright, Certificate.load(importlib.resources.files("safe_wrappers").joinpath(str(path)))
    )


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
        dataclasses.replace(upright, name="other").save(path)
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
        lambda c: c["probes"]["next"][3].__setitem__(0, 0.0),
        lambda c: c.__setitem__("extra", 1),
        lambda c: c.pop("eps"),
        lambda c: c.pop("checksum"),
    ],
)
def test_every_change_by_hand_is_found(path, change):
    with pytest.raises(CertificateError, match="checksum"):
        Certificate.load(edited(path, change))


@pytest.mark.parametrize(
    "key",
    [
        "model",
        "safe_state_set",
        "disturbance_set",
        "constraint_set",
        "sigma",
        "eps",
        "probes",
        "action_size",
        "zonotope",
    ],
)
def test_missing_entries_are_named_even_with_a_valid_checksum(path, key):
    from safe_wrappers.certificates._file import _checksum

    def change(content):
        content.pop(key)
        content.pop("checksum")
        content["checksum"] = _checksum(content)

    with pytest.raises(CertificateError, match=key):
        Certificate.load(edited(path, change))


def test_another_version_is_refused_before_anything_else(path):
    with pytest.raises(CertificateError, match=r"format version 1, but .* has 2"):
        Certificate.load(edited(path, lambda c: c.__setitem__("format_version", 2)))


@pytest.mark.parametrize("length", [0, 10, 500, -20])
def test_truncated_files_are_refused(path, length):
    path.write_text(path.read_text()[:length])
    with pytest.raises(CertificateError, match="complete JSON"):
        Certificate.load(path)


@pytest.mark.parametrize("content", ["[]", "{}", '"text"', '{"format": "other"}', '{"sigma": NaN}'])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "file.json").write_text(content)
    with pytest.raises(CertificateError):
        Certificate.load(tmp_path / "file.json")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CertificateError, match="readable"):
        Certificate.load(tmp_path / "nothing.json")


def test_the_certified_model_is_accepted(path):
    Certificate.load(path).check(pendulum())


def test_other_models_are_refused_with_the_reason(path):
    certificate = Certificate.load(path)
    with pytest.raises(
        CertificateError, match="about the model 'safe_pendulum', not 'safe_cart_pole'"
    ):
        certificate.check(cart_pole())
    with pytest.raises(CertificateError, match=r"torque = 27\.0 instead of 30\.0"):
        certificate.check(pendulum(torque=27.0))
    original = pendulum()
    liar = dataclasses.replace(original, step=lambda x, a, w: original.step(x, 0.9 * a, w))
    with pytest.raises(CertificateError, match="another function"):
        certificate.check(liar)
    close = dataclasses.replace(original, step=lambda x, a, w: original.step(x, (1 + 1e-9) * a, w))
    with pytest.raises(CertificateError, match="another function"):
        certificate.check(close)


def test_sigma_must_leave_room_for_rounding(certify, upright_rows):
    with pytest.raises(CertificateError, match="`sigma` must be at least"):
        certify(upright_rows, sigma=1.5e-5)


def test_sets_that_do_not_fit_the_model_are_refused(upright_rows):
    S, X, W = Polytope(upright_rows, np.ones(10)), Box.symmetric([4.0, 9.0]), Box.symmetric([0.1])
    with pytest.raises(CertificateError, match="`safe_state_set` must have dimension 4"):
        Certificate.create(cart_pole(), S, X, W, name="x")
    with pytest.raises(CertificateError, match="`disturbance_set` must have dimension 1"):
        Certificate.create(pendulum(), S, X, Box.symmetric([0.1, 0.1]), name="x")
    with pytest.raises(CertificateError, match="`constraint_set` must have dimension 2"):
        Certificate.create(pendulum(), S, Box.symmetric([1.0]), W, name="x")


def test_the_set_is_scaled_and_rounded_to_float32(certify, upright_rows):
    X, W = Box.symmetric([1.05, 8.0]), Box.symmetric([0.1])
    certificate = Certificate.create(
        pendulum(), Polytope(3.0 * upright_rows, 3.0 * np.ones(10)), X, W, name="scaled"
    )
    assert certificate.safe_state_set.H.dtype == np.float32
    np.testing.assert_array_equal(certificate.safe_state_set.h, np.ones(10))
    np.testing.assert_array_equal(certificate.safe_state_set.H, upright_rows.astype(np.float32))


def test_eps_bounds_rounding_and_is_used_as_float32(upright):
    assert upright.eps.dtype == np.float32
    assert np.all((upright.eps > 1e-6) & (upright.eps < 5e-5))


def test_a_model_without_parameters_can_be_certified(tmp_path):
    model = Model("plain", lambda x, a, w: 0.5 * x + 0.1 * a + w, 1, 1, 1)
    certificate = Certificate.create(
        model,
        Polytope([[1.0], [-1.0]], [1.0, 1.0]),
        Box.symmetric([2.0]),
        Box.symmetric([0.1]),
        name="plain",
    )
    certificate.save(tmp_path / "plain.json")
    Certificate.load(tmp_path / "plain.json").check(model)
