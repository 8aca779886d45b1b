"""Wrappers that need an optional package are imported when they are asked for."""

import subprocess
import sys

import pytest

import safe_wrappers as sw

BLOCKED = """
import sys
sys.modules["mujoco_playground"] = None  # as if it were not installed
import safe_wrappers as sw
try:
    sw.PlaygroundSafeguardWrapper
except ImportError as error:
    print(error)
"""


def run(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_without_playground_the_message_says_what_to_install():
    assert run(BLOCKED) == (
        "`PlaygroundSafeguardWrapper` needs MuJoCo Playground; run `pip install "
        '"safe-wrappers[playground]"`.'
    )


def test_playground_is_not_imported_with_the_package():
    assert run("import sys, safe_wrappers; print('mujoco_playground' in sys.modules)") == "False"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(
        AttributeError, match="module 'safe_wrappers' has no attribute 'NoSuchWrapper'"
    ):
        _ = sw.NoSuchWrapper
