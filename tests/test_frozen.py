import copy
import pickle

import gymnasium
import pytest
from brax import envs

from safe_wrappers._frozen import Frozen


class Base(Frozen):
    may_change = frozenset({"count"})

    def __init__(self, size: int):
        self.size = size
        self.count = 0

    @property
    def half(self) -> float:
        return self.size / 2

    @half.setter
    def half(self, value: float) -> None:
        raise ValueError("`half` follows from `size`.")


class Derived(Base):
    def __init__(self, size: int):
        super().__init__(size)
        self.name = "assigned after the constructor of the base class"


@pytest.mark.parametrize("name", ["size", "name", "invented"])
def test_assignment_after_construction_names_the_attribute_and_what_to_do(name):
    message = f"`{name}` of a `Derived` cannot be changed.*Construct another `Derived`"
    with pytest.raises(AttributeError, match=message):
        setattr(Derived(2), name, 3)


def test_deleting_is_refused_too():
    with pytest.raises(AttributeError, match="`size` of a `Base` cannot be changed"):
        del Base(2).size


def test_what_changes_in_use_may_change():
    base = Base(2)
    base.count += 1
    assert base.count == 1


def test_a_property_keeps_its_setter():
    with pytest.raises(ValueError, match="follows from"):
        Base(2).half = 3


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies_are_equal_and_frozen(duplicate):
    found = duplicate(Derived(2))
    assert (found.size, found.half, found.name) == (2, 1, Derived(2).name)
    with pytest.raises(AttributeError, match="cannot be changed"):
        found.size = 3


@pytest.mark.parametrize("host", [envs.Env, gymnasium.Env, gymnasium.vector.VectorEnv])
def test_it_is_a_base_class_beside_those_of_the_hosts(host):
    names = getattr(host, "__abstractmethods__", ())
    kind = type(Frozen)("Kind", (Frozen, host), dict.fromkeys(names))
    with pytest.raises(AttributeError, match="cannot be changed"):
        kind().anything = 1
