"""A flipped bit in any file of a run is noticed, or changes nothing."""

import importlib.util
import pathlib
import random
import shutil

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "bit_flips.py"
GOOD = {"equal", "refused", "the checkpoint before"}


@pytest.fixture(scope="module")
def flips():
    spec = importlib.util.spec_from_file_location("bit_flips", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["finished", "interrupted"])
def test_a_flip_in_a_run_is_refused_by_name_or_without_effect(flips, finished_run, tmp_path, kind):
    folder = tmp_path / kind
    copy = shutil.copytree if kind == "finished" else flips.interrupted
    copy(finished_run, folder)
    counts = flips.flips_of_a_run(folder, random.Random(1), 60)
    assert set(counts) <= GOOD
    assert counts["refused"] >= 1
    assert counts["equal"] >= 5


def test_a_flip_in_a_certificate_is_refused_or_without_effect(flips, tmp_path):
    counts = flips.flips_of_certificates(tmp_path, random.Random(2), 40)
    assert set(counts) <= {"equal", "refused"}
    assert counts["refused"] >= 35
