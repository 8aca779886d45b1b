"""Runs tests in processes that start with all of the heavy packages imported.

A process that imports JAX, Brax and MuJoCo anew for every mutant would spend its time there. The
server imports what does not belong to the tree under test, and every run is a fork of it, which
then imports the tree as it is on the disk. No JAX backend may exist before the fork: its threads
would not survive it.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Result(NamedTuple):
    """What became of one run of tests.

    Attributes:
        passed: Whether all tests ran and passed.
        timed_out: Whether a signal ended it: the limit of CPU time, or a crash.
        failed: The first test that failed, or why there is none; "" if all passed.
        durations: Seconds of each test that ran, by node id.
        cpu_seconds: CPU time of the whole run.
        left_out: How many tests did not run, since the budget was used up.
    """

    passed: bool
    timed_out: bool
    failed: str
    durations: dict[str, float]
    cpu_seconds: float
    left_out: int


def import_heavy_packages(tree: Path) -> None:
    """Imports all modules that `tree` imports and that are not its own, without a JAX backend.

    Args:
        tree: A copy of the repository.

    Raises:
        RuntimeError: If one of the modules makes a JAX backend.
    """
    names = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _LIST_MODULES, str(tree)],
        check=True,
        capture_output=True,
        text=True,
        cwd=tree,
    ).stdout.splitlines()[-1]
    for name in json.loads(names):
        try:
            importlib.import_module(name)
        except ImportError:  # made by hand at run time, as `six.moves` is
            continue
    bridge = importlib.import_module("jax._src.xla_bridge")
    if bridge.backends_are_initialized():
        raise RuntimeError("A JAX backend exists before the fork; an import must not make one.")


_LIST_MODULES = """
import sys, json
from pathlib import Path
tree = Path(sys.argv[1]).resolve()
sys.path[:0] = [str(tree), str(tree / "tests")]
import pytest, xdist, gymnasium, scipy.optimize, scipy.spatial
import safe_wrappers.algos, safe_wrappers.envs, safe_wrappers.testing
files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
print(json.dumps([
    name for name, file in files.items()
    if name != "__main__" and not (file and Path(file).resolve().is_relative_to(tree))
    and not name.startswith(("safe_wrappers", "envs", "algos"))
]))
"""


def run_tests(
    tree: Path,
    tests: Sequence[str],
    *,
    first: Callable[[str], Any],
    cpu_limit: float,
    budget: float,
    show: bool = False,
) -> Result:
    """Runs tests in a fork of this process, until the first that fails.

    Args:
        tree: A copy of the repository, the working directory of the run.
        tests: Test files, relative to the tree.
        first: The key by which the tests are sorted, of a node id.
        cpu_limit: Seconds of CPU time of a single test after which the run is ended.
        budget: Seconds of CPU time of the run after which no other test begins.
        show: Whether to show what pytest prints.
    """
    with tempfile.NamedTemporaryFile("r", suffix=".json") as report:
        process = os.fork()
        if process == 0:
            code = 99
            try:
                _enter(tree, show)
                code = _pytest(tests, _Recorder(first, cpu_limit, budget, report.name))
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status, usage = os.wait4(process, 0)
        text = report.read()
    told = json.loads(text) if text else {"failed": "", "durations": {}, "left_out": 0}
    code = os.waitstatus_to_exitcode(status)
    return Result(
        passed=code == 0,
        timed_out=code < 0,
        failed=told["failed"] or ("" if code == 0 else f"exit code {code}"),
        durations=told["durations"],
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        left_out=told["left_out"],
    )


def _enter(tree: Path, show: bool) -> None:
    """Makes this process one that runs tests of the tree."""
    os.chdir(tree)
    sys.path[:0] = [str(tree)]
    os.environ["PYTHONPATH"] = str(tree)  # of the processes that tests start
    if not show:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)


class _Recorder:
    """A plugin of pytest: sorts the tests, limits their time, and writes down what failed and what
    each took.
    """

    def __init__(self, first: Callable[[str], Any], cpu_limit: float, budget: float, report: str):
        self.first, self.cpu_limit, self.budget, self.report = first, cpu_limit, budget, report
        self.failed, self.durations, self.left_out = "", {}, 0

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items.sort(key=lambda item: self.first(item.nodeid))

    def pytest_runtest_protocol(self) -> bool | None:
        if time.process_time() < self.budget:
            return None  # as usual
        self.left_out += 1
        return True

    def pytest_runtest_setup(self) -> None:
        # Their signals end the process, whatever it computes or waits for. A machine that is
        # shared gives it a part of a core.
        signal.setitimer(signal.ITIMER_PROF, self.cpu_limit)
        signal.setitimer(signal.ITIMER_REAL, 30 * self.cpu_limit)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.failed = self.failed or f"{report.nodeid} cannot be collected"

    def pytest_runtest_logreport(self, report: Any) -> None:
        known = self.durations.get(report.nodeid, 0.0)
        self.durations[report.nodeid] = round(known + report.duration, 4)
        if report.failed:
            self.failed = self.failed or report.nodeid

    def pytest_sessionfinish(self) -> None:
        content = {
            "failed": self.failed,
            "durations": self.durations,
            "left_out": self.left_out,
        }
        Path(self.report).write_text(json.dumps(content))


def _pytest(tests: Sequence[str], recorder: _Recorder) -> int:
    import pytest

    options = ["-q", "-x", "-n", "0", "-p", "no:cacheprovider", "--no-header"]
    # The packages are imported before pytest could rewrite the assertions of plugins.
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main([*options, *tests], plugins=[recorder]))
