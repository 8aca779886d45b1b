import importlib

import pytest

import safe_wrappers as sw
from safe_wrappers.algos import shac
from safe_wrappers.algos.shac.rollout import wrap
from safe_wrappers.algos.shac.settings import LEARNING, has_its_recipe, recipe

trainer = importlib.import_module("safe_wrappers.algos.shac.train")

OF_THE_PENDULUM = {
    "num_envs": 12,
    "regularisation": 0.7,
    "final_regularisation_fraction": 0.3,
}


@pytest.fixture
def tuned(monkeypatch):
    """Recipes of this test's own, whatever the shipped ones are."""
    monkeypatch.setitem(shac.TUNED, "safe_pendulum", dict(OF_THE_PENDULUM))
    monkeypatch.setitem(shac.TUNED, "safe_quadrotor", {"horizon_length": 5})
    monkeypatch.setitem(shac.TUNED, "safe_quadrotor/far", {"horizon_length": 6})


@pytest.fixture
def planned(monkeypatch):
    """What a training would run with; it ends before anything is computed."""

    def train(*args, **options):
        seen = {}

        def keep(options):
            seen.update(options)
            raise KeyboardInterrupt

        monkeypatch.setattr(trainer, "make_plan", keep)
        with pytest.raises(KeyboardInterrupt):
            shac.train(*args, **options)
        return seen

    return train


def test_a_recipe_is_found_by_the_class_also_inside_wrappers(tuned, pendulum, line):
    raw = pendulum.env
    assert recipe(pendulum) == recipe(wrap(pendulum, 8)) == shac.TUNED["safe_pendulum"]
    # A weight of the correction that was tuned with the projection is of no use without it.
    assert recipe(raw) == recipe(sw.SafeguardWrapper(raw, sw.RayMask())) == {"num_envs": 12}
    in_reward = sw.SafeguardWrapper(raw, sw.BoundaryProjection(), regularisation=0.2)
    assert recipe(in_reward) == {"num_envs": 12}

    class Mine(sw.envs.SafePendulum):
        """Whose task may be another."""

    assert recipe(Mine()) == recipe(line) == recipe("safe_pendulum") == {}


def test_a_training_with_another_setting_has_not_its_recipe(tuned, pendulum, line):
    suited = {"environment": pendulum, "tau": 0.2, **OF_THE_PENDULUM}
    assert has_its_recipe(suited)
    assert has_its_recipe({**suited, "tau": 0.5})  # of which the recipe says nothing
    assert not has_its_recipe({**suited, "num_envs": 8})
    assert not has_its_recipe({**suited, "environment": line})


def test_a_goal_can_have_a_recipe_of_its_own(tuned):
    assert recipe(sw.envs.SafeQuadrotor()) == {"horizon_length": 5}
    assert recipe(sw.envs.SafeQuadrotor(goal="far")) == {"horizon_length": 6}


def test_a_training_takes_what_suits_the_system_and_what_is_given_goes_before_it(
    tuned, planned, pendulum, line
):
    assert planned(pendulum, 64, 8)["num_envs"] == 12
    assert planned(pendulum, 64, 8)["regularisation"] == 0.7
    assert planned(pendulum, 64, 8, num_envs=4, regularisation=0.0)["num_envs"] == 4
    assert planned(pendulum, 64, 8, num_envs=4, regularisation=0.0)["regularisation"] == 0.0
    assert planned(line, 64, 8)["num_envs"] == 8


def test_the_settings_that_are_shown_are_those_that_are_used(tuned, planned, pendulum):
    shown = shac.settings(pendulum, tau=0.5)
    assert tuple(shown) == LEARNING
    used = planned(pendulum, 64, 8, tau=0.5)
    assert shown == {name: used[name] for name in LEARNING}
    again = planned(pendulum, 64, 8, **shown)
    assert shown == {name: again[name] for name in LEARNING}


@pytest.mark.parametrize(
    ("safeguard", "weight"), [(sw.BoundaryProjection(), 0.1), (sw.RayMask(), 0.0), (None, 0.0)]
)
def test_the_regularisation_is_resolved_to_a_number(monkeypatch, safeguard, weight):
    monkeypatch.delitem(shac.TUNED, "safe_pendulum", raising=False)
    env = sw.envs.SafePendulum()
    env = env if safeguard is None else sw.SafeguardWrapper(env, safeguard)
    assert shac.settings(env)["regularisation"] == weight


def test_nonsense_is_refused_by_name(pendulum):
    with pytest.raises(sw.UnknownOptionError, match="Did you mean 'learning_rate'"):
        shac.settings(pendulum, learning_rat=1e-3)
    with pytest.raises(ValueError, match="`tau`"):
        shac.settings(pendulum, tau=2.0)
    with pytest.raises(TypeError, match="`environment`"):
        shac.settings("safe_pendulum")
    with pytest.raises(ValueError, match="needs a safeguarded environment"):
        shac.settings(pendulum.env, regularisation=0.1)


@pytest.mark.parametrize("name", shac.TUNED)
def test_every_recipe_is_of_a_bundled_system_and_holds_options_of_train(name):
    assert name.split("/")[0] in sw.envs.registered_names()
    assert set(shac.TUNED[name]) <= set(LEARNING)
