"""Damaged certificates: files with flipped bits, and files that are cut off."""

import json

import numpy as np
import pytest
from counts import record

from safe_wrappers import CertificateError
from safe_wrappers.certificates import Certificate
from safe_wrappers.envs import get_model, load_certificate

FILES = [("safe_pendulum", "walter2025"), ("safe_cart_pole", "wide"), ("safe_quadrotor", "wide")]


def outcomes(path, original, damaged, model):
    """How many damaged files are refused by a certificate's error, load with the content of the
    original, load with another content, and end in another error.
    """
    content = json.loads(original)
    refused = equal = other = unclear = 0
    for data in damaged:
        path.write_bytes(data)
        try:
            Certificate.load(path, model)
        except CertificateError:
            refused += 1
        except Exception:
            unclear += 1
        else:
            same = json.loads(data) == content
            equal, other = equal + same, other + (not same)
    record(
        caught=refused + equal,
        silently_wrong=other,
        unclear=unclear,
        note="Certificate files with one flipped bit, or cut off.",
        suite="flips/certificates",
    )
    print(f"{refused} refused, {equal} load with equal content, {other} with another")
    return refused, equal, other, unclear


def flipped(data, positions, seed=0):
    """The file with one random bit flipped at each of the positions in turn."""
    rng = np.random.default_rng(seed)
    for position in positions:
        damaged = bytearray(data)
        damaged[position] ^= 1 << rng.integers(8)
        yield bytes(damaged)


@pytest.fixture
def original(tmp_path):
    """Writes a shipped certificate and returns its bytes."""

    def of(system, name):
        load_certificate(system, name).save(tmp_path / "original.json")
        return (tmp_path / "original.json").read_bytes()

    return of


@pytest.mark.parametrize(("system", "name"), FILES)
def test_no_damaged_file_loads_with_another_content(system, name, original, tmp_path):
    data, model = original(system, name), get_model(system)
    rng = np.random.default_rng(1)
    flips = list(flipped(data, rng.integers(len(data), size=300)))
    cuts = [data[:length] for length in rng.integers(len(data) - 1, size=50)]
    refused, _, other, unclear = outcomes(tmp_path / "damaged.json", data, [*flips, *cuts], model)
    assert other == unclear == 0
    assert refused > 300


@pytest.mark.slow
@pytest.mark.parametrize(("system", "name"), FILES)
def test_no_flip_of_any_byte_does(system, name, original, tmp_path):
    data, model = original(system, name), get_model(system)
    flips = flipped(data, range(len(data)))
    refused, equal, other, unclear = outcomes(tmp_path / "damaged.json", data, flips, model)
    assert other == unclear == 0
    assert refused > 0.9 * len(data)
    assert refused + equal == len(data)
