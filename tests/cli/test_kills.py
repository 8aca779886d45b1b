"""A training that is killed at any moment, and started anew, ends as if nothing had happened."""

import json
import pathlib
import subprocess
import sys

PROGRAM = pathlib.Path(__file__).with_name("killed_runs.py")


def test_killed_at_every_change_of_the_file_system_a_run_ends_as_if_it_had_not_been():
    command = [sys.executable, str(PROGRAM)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["wrong"] == []
    assert found["changes"] > 100
    assert found["killed"] >= 60
