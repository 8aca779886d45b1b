"""An exported folder runs where there is no JAX, or no training."""

import ast
import json
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from deployment.exported import CENTER, arm, plant_of, worst_margin

import safe_wrappers as sw
from safe_wrappers.deployment._numpy_files import numpy_files
from safe_wrappers.deployment._task import Task

# What a machine without JAX would say, and a check that the module is about NumPy alone.
WITHOUT_JAX = """
import sys

class Blocked:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("jax", "jaxlib", "brax", "flax", "scipy", "safe_wrappers"):
            raise ImportError(f"{name} is not on this machine")

sys.meta_path.insert(0, Blocked())
sys.path.insert(0, sys.argv[1])
import json
import numpy as np
import controller as exported
"""


def policy(observation):
    return jnp.tanh(3.0 * observation[:1])


def observe(x, info):
    return jnp.concatenate([info["goal"] - x[:1], jnp.sin(x)])


PENDULUM = sw.envs.get_environment("safe_pendulum", safe_set="narrow").system


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return sw.export_controller(
        tmp_path_factory.mktemp("exports") / "pendulum",
        PENDULUM,
        sw.BoundaryProjection(),
        policy=policy,
        observe=observe,
        task={"goal": [0.4]},
        calls=20,
    )


@pytest.fixture(scope="module")
def arm_folder(tmp_path_factory):
    """The NumPy controller of a system in volts, far from the origin."""
    folder = tmp_path_factory.mktemp("exports")
    task = Task(lambda x, info: jnp.concatenate([info["goal"] - x[:2], x]), {"goal": [5.5, -3.5]})
    files = numpy_files(
        arm(), sw.BoundaryProjection(), lambda obs: jnp.tanh(3.0 * obs[:2]), task, "test"
    )
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def run_without_jax(folder, code):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_JAX + code, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": ""},
    ).stdout


def test_a_loop_in_another_process_without_jax_stays_in_the_set(arm_folder):
    """Worst disturbances by turns, and a goal outside S: the loop presses on the boundary."""
    code = f"""
controller = exported.load()
watchdog = exported.Watchdog(controller)
controller.task["goal"] = np.array([9.0, -9.0])
x, states, actions, flags = np.array({CENTER.tolist()}), [], [], []
for step in range(200):
    output = controller(x)
    explained = watchdog.observe(x).explained
    flags.append([output.intervened, output.inside, output.fallback, explained])
    states.append(x.tolist())
    actions.append(output.action.tolist())
    watchdog.executed(output.action)
    c, B, E = exported.model_affine(x)
    unit = (output.action - np.array([0.0, 2.0])) / np.array([12.0, 3.0])
    x = c + B @ unit + E @ (0.02 * np.array([(-1) ** (step // 7), (-1) ** (step // 5)]))
print(json.dumps([states, actions, flags]))
"""
    states, actions, flags = map(np.array, json.loads(run_without_jax(arm_folder, code)))
    intervened, inside, fallback, explained = flags.T
    assert inside.all()
    assert explained.all()
    assert not fallback.any()
    assert intervened.mean() > 0.5
    assert worst_margin("arm", states, actions).min() > 0
    # and the loop was one of the plant that the tests wrote themselves
    ahead = plant_of("arm")(states[0], actions[0], np.array([0.02, 0.02]))
    np.testing.assert_allclose(ahead, states[1], atol=1e-6)


def test_the_module_needs_numpy_alone_and_an_old_python(arm_folder):
    text = (arm_folder / "controller.py").read_text()
    imports = [line for line in text.splitlines() if line.startswith(("import", "from"))]
    assert imports[0] == "from __future__ import annotations"
    packages = {line.split()[1].split(".")[0] for line in imports}
    assert packages == {"__future__", "collections", "hashlib", "io", "numpy", "pathlib", "typing"}
    ast.parse(text, feature_version=(3, 9))
    assert max(map(len, text.splitlines())) <= 100
    # A strict zip is no older than Python 3.10.
    assert "strict=" not in text


def test_arrays_of_another_export_are_refused(arm_folder, tmp_path):
    for name in ("controller.py", "controller.npz"):
        (tmp_path / name).write_bytes((arm_folder / name).read_bytes())
    np.savez(tmp_path / "controller.npz", H=np.eye(3))
    code = """
try:
    exported.load()
except ValueError as error:
    print(error)
"""
    assert "copy both files of one export" in run_without_jax(tmp_path, code)


def test_the_jax_program_acts_as_the_library_does(exported):
    program = jax.export.deserialize(bytearray((exported.folder / "controller.jax").read_bytes()))
    assert program.platforms == ("cpu", "cuda")
    x, goal = np.array([0.45, 0.2], np.float32), np.array([0.9], np.float32)
    found = program.call(x, {"goal": goal})
    request = policy(observe(x, {"goal": goal}))
    expected = sw.safe_action(PENDULUM, sw.BoundaryProjection(), x, request)._asdict()
    assert found.keys() == expected.keys()
    assert found["intervened"]
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)
    alone = jax.export.deserialize(bytearray((exported.folder / "safe_action.jax").read_bytes()))
    found = alone.call(x, np.array([np.nan], np.float32))
    assert found["fallback"]
    assert np.isfinite(found["action"]).all()


def test_the_report_and_the_readme_say_what_was_measured(exported):
    assert exported.agreement.difference < 1e-4
    assert {name.split(",")[0] for name in exported.latencies} == {"JAX", "NumPy"}
    assert all(0 < one.median <= one.most for one in exported.latencies.values())
    page = (exported.folder / "README.md").read_text()
    for said in ("proved", "controller.jax", "goal", "| NumPy |", "-1 to 1"):
        assert said in page, said
    description = json.loads((exported.folder / "export.json").read_text())
    assert description["format"] == 1
    assert description["guarantee"]["status"] == "proved"
    assert set(description["files"]) == set(exported.files)
    assert {path.name for path in exported.folder.iterdir()} == {
        *exported.files,
        "README.md",
        "export.json",
    }


def test_a_system_without_a_translation_is_exported_as_a_program(tmp_path):
    system = sw.envs.SafeSeeker().system
    with pytest.raises(sw.ModelError, match=r"`ExplicitSystem`.*`numpy=False`"):
        sw.export_controller(tmp_path / "seeker", system, sw.BoundaryProjection(), calls=0)
    assert not list(tmp_path.iterdir())
    report = sw.export_controller(
        tmp_path / "seeker", system, sw.BoundaryProjection(), numpy=False, calls=0
    )
    assert report.files == ("safe_action.jax",)
    assert report.agreement is None
    assert "In NumPy" not in (tmp_path / "seeker" / "README.md").read_text()


def test_an_observation_that_needs_more_says_what(tmp_path):
    with pytest.raises(sw.ModelError, match=r"needs 'goal'.*task=\{'goal'"):
        sw.export_controller(
            tmp_path / "pendulum",
            PENDULUM,
            sw.BoundaryProjection(),
            policy=policy,
            observe=observe,
        )


def test_only_an_export_is_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    with pytest.raises(FileExistsError, match="something else"):
        sw.export_controller(tmp_path / "mine", PENDULUM, sw.BoundaryProjection())
    pathlib.Path(tmp_path / "old").mkdir()
    pathlib.Path(tmp_path / "old" / "export.json").write_text("{}")
    report = sw.export_controller(
        tmp_path / "old",
        PENDULUM,
        sw.BoundaryProjection(),
        calls=0,
    )
    assert json.loads((tmp_path / "old" / "export.json").read_text())["format"] == 1
    assert report.latencies == {}
    assert "Latency" not in (tmp_path / "old" / "README.md").read_text()


@pytest.mark.parametrize(
    ("system", "safeguard", "named"),
    [(None, sw.BoundaryProjection(), "system"), (PENDULUM, sw.BoundaryProjection, "safeguard")],
)
def test_what_is_no_system_or_safeguard_is_named(tmp_path, system, safeguard, named):
    with pytest.raises(TypeError, match=f"`?{named}`?"):
        sw.export_controller(tmp_path / "x", system, safeguard)
