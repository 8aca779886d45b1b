"""Programs of equal content are compiled once, of different content never shared, and freed with
the objects that use them.
"""

import copy
import gc
import pickle
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from counting import compilations

from safe_wrappers import _programs
from safe_wrappers._programs import compiled_by_content, remembered


class Owner:
    def __init__(self, factor, seen=None):
        self.factor = factor
        self.seen = seen

    def value(self, x):
        return jnp.tanh(x) * self.factor

    def see(self, x):
        self.seen.append(float(x))


class Other(Owner):
    def value(self, x):
        return jnp.tanh(x) - self.factor


@compiled_by_content
def evaluate(owner, x):
    return {"value": owner.value(x)}


@compiled_by_content
def evaluate_and_tell(owner, x):
    jax.debug.callback(owner.see, x)
    return owner.value(x)


X = np.float32(0.5)
TANH = float(np.tanh(0.5))


def test_equal_objects_compile_once():
    """Numbers that no other test uses: programs are shared across the process."""
    found = []
    with compilations() as count:
        for _ in range(5):
            owner = Owner(3.25)
            found += [evaluate(owner, X)["value"], evaluate(owner, X)["value"]]
    assert count.programs == 1
    np.testing.assert_allclose(found, 3.25 * TANH, rtol=1e-6)


def test_other_numbers_and_other_code_are_other_programs():
    first, number, subclass = Owner(2.0), Owner(2.5), Other(2.0)
    patched = Owner(2.0)
    patched.value = lambda x: x * 0 + 7
    found = [float(evaluate(owner, X)["value"]) for owner in (first, number, subclass, patched)]
    np.testing.assert_allclose(found, [2 * TANH, 2.5 * TANH, TANH - 2, 7], rtol=1e-6)


def test_a_class_that_was_patched_is_traced_anew(monkeypatch):
    assert evaluate(Owner(1.5), X)["value"] == pytest.approx(1.5 * TANH)
    monkeypatch.setattr(Owner, "value", lambda self, x: x + self.factor)
    assert evaluate(Owner(1.5), X)["value"] == 2.0


def test_a_variable_that_changed_is_traced_anew():
    factor = 1.0
    owner = Owner(0.0)
    owner.value = lambda x: factor * x
    assert evaluate(owner, X)["value"] == 0.5
    factor, twin = 3.0, Owner(0.0)
    twin.value = owner.value
    assert evaluate(twin, X)["value"] == 1.5


def test_who_calls_back_has_a_program_of_its_own():
    """The programs differ in nothing but whom they call."""
    first, second = Owner(1.0, []), Owner(1.0, [])
    evaluate_and_tell(first, X)
    evaluate_and_tell(second, 2 * X)
    jax.effects_barrier()
    assert (first.seen, second.seen) == ([0.5], [1.0])


def test_objects_are_freed():
    owners = [Owner(float(i)) for i in range(3)]
    for owner in owners:
        evaluate(owner, X)
    alive = [weakref.ref(owner) for owner in owners]
    del owner, owners
    gc.collect()
    assert [reference() for reference in alive] == [None] * 3


def test_programs_are_freed_but_for_the_newest():
    gc.collect()
    # Environments of other tests in this process may still hold programs of their own.
    held_by_others = len(_programs._SHARED._alive)
    for i in range(3 * _programs._KEPT):
        evaluate(Owner(100.0 + i), X)
    gc.collect()
    assert len(_programs._SHARED._alive) <= held_by_others + _programs._KEPT


def test_a_shallow_copy_that_was_changed_runs_its_own_program():
    owner = Owner(2.0)
    evaluate(owner, X)
    twin = copy.copy(owner)
    twin.factor = 4.0
    assert evaluate(twin, X)["value"] == pytest.approx(4 * TANH)
    assert evaluate(owner, X)["value"] == pytest.approx(2 * TANH)


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]
)
def test_programs_stay_behind_in_copies(duplicate):
    owner = Owner(2.0)
    evaluate(owner, X)
    twin = duplicate(owner)
    twin.factor = 4.0
    assert evaluate(twin, X)["value"] == pytest.approx(4 * TANH)


def test_other_kinds_of_arguments_are_other_programs():
    owner = Owner(2)
    assert evaluate(owner, X)["value"].shape == ()
    assert evaluate(owner, np.full(3, X))["value"].shape == (3,)
    assert evaluate(owner, jnp.float16(0.5))["value"].dtype == jnp.float16
    assert evaluate(owner, 0.5)["value"].weak_type
    with jax.enable_x64():
        assert evaluate(owner, np.float64(0.5))["value"].dtype == jnp.float64
    assert evaluate(owner, np.float64(0.5))["value"].dtype == jnp.float32


def test_it_is_traced_inside_jit_and_runs_without_it():
    owner = Owner(2.0)
    gradient = jax.jit(jax.grad(lambda x: evaluate(owner, x)["value"]))(X)
    assert gradient == pytest.approx(2 * (1 - TANH**2))
    with jax.disable_jit():
        assert evaluate(owner, X)["value"] == pytest.approx(2 * TANH)


def test_objects_with_slots_work_too():
    class Slotted:
        __slots__ = ("factor",)

        def value(self, x):
            return x * self.factor

    owner = Slotted()
    owner.factor = 3.0
    with compilations() as count:
        assert [evaluate(owner, X)["value"] for _ in range(3)] == [1.5] * 3
    assert count.programs == 1


def test_what_is_remembered_goes_with_the_object():
    calls = []

    @remembered
    def size(owner):
        calls.append(owner.factor)
        return owner.factor + 1

    owner = Owner(1)
    assert (size(owner), size(owner), size(Owner(2))) == (2, 2, 3)
    assert calls == [1, 2]
