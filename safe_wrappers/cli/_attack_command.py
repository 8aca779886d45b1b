"""`safe-wrappers attack`."""

import sys

from .._compilation_cache import use_compilation_cache
from .._status_line import StatusLine
from ..falsification import attack as search
from ._options import Attack
from ._subject import target_environment
from ._trial_report import print_report
from ._usage import require_new_file, usage_errors


def attack(options: Attack) -> int:
    """Searches for an unsafe step and says what was found. Returns 0 only if there was none."""
    if options.plot is not None:
        require_new_file("--plot", options.plot, ".png")
    env = target_environment(options)
    use_compilation_cache()
    with usage_errors(["safeguard"]), StatusLine(sys.stderr.isatty()) as line:
        report = search(
            env, options.safeguard, budget=options.budget, seed=options.seed, progress=line.show
        )
    print_report(options, report)
    if options.plot is not None:
        from ..plots import attack_figure, save_figure

        save_figure(attack_figure(report, env), options.plot)
        if not options.json:
            print(f"Wrote {options.plot}.")
    return 1 if report.broken else 0
