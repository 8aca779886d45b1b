"""How long it takes to start: seconds of processor time, each the smallest of several processes.

python benchmarks/startup.py
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

from safe_wrappers.evaluation import versions, write_json

_MAIN = "from safe_wrappers.cli import main; main({})"
PROGRAMS = {
    "python": "pass",
    "import jax": "import jax",
    "import brax.envs": "import brax.envs",
    "import safe_wrappers": "import safe_wrappers",
    "from safe_wrappers import Model, Polytope": "from safe_wrappers import Model, Polytope",
    "from safe_wrappers import SafeguardWrapper": "from safe_wrappers import SafeguardWrapper",
    "every name of safe_wrappers": "import safe_wrappers as sw; [getattr(sw, n) for n in dir(sw)]",
    "safe-wrappers --version": _MAIN.format(["--version"]),
    "safe-wrappers --help": _MAIN.format(["--help"]),
    "safe-wrappers train --help": _MAIN.format(["train", "--help"]),
}


def seconds(program):
    """Processor time of a process that runs the program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure():
    """Measures, prints and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=5, help="per program")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/startup.json"))
    given = parser.parse_args()
    found = {
        name: round(min(seconds(program) for _ in range(given.processes)), 3)
        for name, program in PROGRAMS.items()
    }
    print(json.dumps(found, indent=2))
    write_json(given.output, {"processor_seconds": found, "versions": versions()})


if __name__ == "__main__":
    measure()
