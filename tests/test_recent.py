import gc

from safe_wrappers._recent import Recent


class Value:
    pass


def test_a_value_is_made_once_as_long_as_somebody_holds_it():
    recent = Recent(0)
    first = recent.get("a", Value)
    assert recent.get("a", Value) is first
    assert recent.get("b", Value) is not first
    del first
    gc.collect()
    assert not recent._alive


def test_the_newest_ones_stay_for_a_while():
    recent = Recent(2)
    names = {name: id(recent.get(name, Value)) for name in "abc"}
    gc.collect()
    assert set(recent._alive) == {"b", "c"}
    assert id(recent.get("c", Value)) == names["c"]
    recent.get("b", Value)
    recent.get("d", Value)
    gc.collect()
    assert set(recent._alive) == {"b", "d"}
