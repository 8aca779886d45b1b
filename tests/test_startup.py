"""`import safe_wrappers` and the help texts import none of the heavy packages, and yet every name
is there.
"""

import ast
import pathlib
import subprocess
import sys

import pytest

import safe_wrappers as sw
from safe_wrappers import _around_import, _registered

HEAVY = ("jax", "brax", "mujoco", "flax", "orbax", "gymnasium", "scipy", "matplotlib", "trimesh")


def printed(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


LOADED = f"import sys; print(*[each for each in {HEAVY} if each in sys.modules])"


@pytest.mark.parametrize(
    "code",
    [
        "import safe_wrappers",
        "import safe_wrappers as sw; dir(sw); sw.CertificateError",
        "import contextlib, io\nfrom safe_wrappers.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    main(['train', '--help'])",
    ],
    ids=["import", "dir", "help"],
)
def test_nothing_heavy_is_imported(code):
    assert printed(f"{code}\n{LOADED}").split() == []


def test_models_and_sets_need_neither_brax_nor_mujoco():
    loaded = printed(f"from safe_wrappers import Box, Model, Polytope\n{LOADED}").split()
    assert "jax" in loaded
    assert not {"brax", "mujoco", "orbax", "gymnasium"} & set(loaded)


MAKE = """
brax.envs.get_environment("safe_pendulum").system
assert "SafeWrappers/CartPole-v0" in gymnasium.registry
gymnasium.make("SafeWrappers/Pendulum-v0").close()
"""


@pytest.mark.parametrize(
    "imports",
    [
        "import safe_wrappers, brax.envs, gymnasium",
        "import brax.envs, gymnasium, safe_wrappers",
    ],
    ids=["before", "after"],
)
def test_the_systems_are_registered_whatever_is_imported_first(imports):
    said = printed(imports + MAKE)
    if imports.startswith("import safe_wrappers"):
        assert said == ""  # nor does mujoco.mjx say what it misses


def test_the_names_are_those_that_type_checkers_read():
    tree = ast.parse(pathlib.Path(sw.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    rooms, names = set(), set()
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname == alias.name
            rooms |= {alias.name} if node.module is None else set()
            names |= set() if node.module is None else {(node.module, alias.name)}
    assert rooms == set(sw._ROOMS)
    assert names == {(module, name) for module, those in sw._NAMES.items() for name in those}


def test_every_name_is_there_and_another_one_is_an_attribute_error():
    for name in dir(sw):
        assert getattr(sw, name) is not None
    assert {"Model", "envs", "safe_action"} < set(dir(sw))
    with pytest.raises(AttributeError, match="module 'safe_wrappers' has no attribute 'Modle'"):
        _ = sw.Modle


def test_the_registered_classes_are_those_of_the_environments():
    assert tuple(_registered.CLASSES) == sw.envs.registered_names()
    for name, kind in _registered.CLASSES.items():
        assert type(sw.envs.get_environment(name)).__name__ == kind


def test_a_module_that_fails_to_import_is_waited_for_again(tmp_path, monkeypatch):
    entered = []

    class Context:
        def __enter__(self):
            entered.append("in")

        def __exit__(self, *_):
            entered.append("out")

    file = tmp_path / "waited_for.py"
    file.write_text("raise ImportError('not yet')")
    monkeypatch.syspath_prepend(tmp_path)
    _around_import.around_import("waited_for", Context)
    assert entered == []
    with pytest.raises(ImportError, match="not yet"):
        import waited_for
    file.write_text("value = 1  # and longer, so that the compiled file is not taken")
    import waited_for

    assert waited_for.value == 1
    assert entered == ["in", "out", "in", "out"]
    assert "waited_for" not in _around_import._FINDER.waiting
    _around_import.around_import("waited_for", Context)  # it is there already
    assert entered[4:] == ["in", "out"]
    monkeypatch.delitem(sys.modules, "waited_for")
