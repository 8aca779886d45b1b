"""64-bit types, which other libraries of a process switch on: everything runs, the state and the
verified action stay float32, and what learners see is of one type.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "x64_program.py"


def run(*arguments):
    found = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        env={**os.environ, "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.endswith("done\n"), found.stderr[-3000:]


def test_environments_hosts_and_the_trainer():
    run("safe_pendulum:closed_form", "safe_seeker:closed_form", "hosts")


@pytest.mark.slow
def test_other_environments_and_backends():
    run("safe_quadrotor:closed_form", "safe_cart_pole:generalized", "safe_cart_pole:mjx")
