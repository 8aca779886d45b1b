"""Soaks count what happened, whatever interrupts them."""

import dataclasses
import json

import numpy as np
import pytest
from falsification.unsafe import CLAIM, ENV

import safe_wrappers as sw
from safe_wrappers.falsification import _soak

ROUND = _soak.COUNT * _soak.LENGTH


@pytest.fixture(scope="module")
def whole():
    return sw.soak(ENV, steps=3 * ROUND)


@pytest.mark.gpu
def test_a_safeguarded_plant_holds(whole):
    assert whole.held
    assert (whole.steps, whole.episodes) == (3 * ROUND, 3 * _soak.COUNT)
    assert (whole.exits, whole.unsafe_actions, whole.episodes_left) == (0, 0, 0)
    assert 0 < whole.margin < 1e-4
    assert whole.claim == CLAIM.digest
    assert "no exit" in whole.message


def test_the_bounds_are_the_rule_of_three(whole):
    assert 2.9 / whole.steps < whole.bound < 3 / whole.steps
    assert 2.9 / whole.episodes < whole.episode_bound < 3 / whole.episodes
    # Clopper and Pearson: with 5 of 100 steps, P(at most 5) = 0.05 at this share.
    some = dataclasses.replace(whole, steps=100, exits=5)
    assert not some.held
    p, binomial = some.bound, [1, 100, 4950, 161700, 3921225, 75287520]
    below = sum(c * p**i * (1 - p) ** (100 - i) for i, c in enumerate(binomial))
    np.testing.assert_allclose(below, 0.05, rtol=1e-6)


def test_memory_is_flat_and_nothing_is_compiled_after_the_first_round(whole):
    assert whole.compilations == 0
    steps, sizes = zip(*whole.memory, strict=True)
    assert steps[0] == ROUND
    assert sizes[-1] < 1.2 * sizes[0]


def test_an_interrupted_soak_goes_on_where_it_was(whole, tmp_path):
    path = tmp_path / "soak.json"

    class Stop(Exception):
        pass

    def stop(text):
        raise Stop

    with pytest.raises(Stop):
        sw.soak(ENV, steps=3 * ROUND, state=path, progress=stop)
    assert json.loads(path.read_text())["rounds"] == 1
    resumed = sw.soak(ENV, steps=3 * ROUND, state=path)
    same = ("steps", "exits", "episodes", "margin", "claim")
    assert [getattr(resumed, n) for n in same] == [getattr(whole, n) for n in same]
    assert resumed.state_file == str(path)
    # Nothing is left to do.
    again = sw.soak(ENV, steps=3 * ROUND, state=path)
    assert (again.steps, again.seconds) == (resumed.steps, resumed.seconds)
    assert [each.name for each in tmp_path.iterdir()] == ["soak.json"]


def test_the_file_of_another_soak_is_refused(tmp_path):
    path = tmp_path / "soak.json"
    sw.soak(ENV, steps=1, state=path)
    with pytest.raises(ValueError, match="it has another seed"):
        sw.soak(ENV, steps=1, state=path, seed=1)
    with pytest.raises(ValueError, match="it has another system and claim"):
        sw.soak(sw.envs.SafePendulum(), steps=1, state=path)
    path.write_text(path.read_text()[:-40])
    with pytest.raises(ValueError, match="must be the file of a soak"):
        sw.soak(ENV, steps=1, state=path)


def test_exits_are_counted_without_a_safeguard():
    report = sw.soak(ENV, "none", steps=1)
    assert not report.held
    # A state that is reached outside ends its episode; another one was only possible.
    assert 500 < report.episodes_left <= report.exits < 2 * report.episodes
    assert report.margin < -0.1
    assert report.bound > report.exits / report.steps


@pytest.mark.slow
@pytest.mark.parametrize("system", sw.envs.registered_names())
def test_a_hundred_million_steps(system):
    report = sw.soak(sw.envs.get_environment(system), steps=100_000_000)
    print(report.message, report.memory)
    assert report.held
    assert report.compilations == 0
    assert report.memory[-1][1] < 1.1 * report.memory[0][1]
