"""`safe-wrappers soak`."""

import sys

from .._compilation_cache import use_compilation_cache
from .._status_line import StatusLine
from ..falsification import soak as run
from ._options import Soak
from ._subject import target_environment
from ._trial_report import print_report
from ._usage import UsageError, require_new_file, usage_errors


def soak(options: Soak) -> int:
    """Runs the steps and says what was counted. Returns 0 only if there was no unsafe one."""
    if options.state is not None:
        require_new_file("--state", options.state, ".json")
    env = target_environment(options)
    use_compilation_cache()
    try:
        with usage_errors(["safeguard", "state"]), StatusLine(sys.stderr.isatty()) as line:
            report = run(
                env,
                options.safeguard,
                steps=options.steps,
                seed=options.seed,
                state=options.state,
                progress=line.show,
            )
    except OSError as error:
        raise UsageError(f"{options.state} cannot be used: {error.strerror}.") from error
    print_report(options, report)
    return 0 if report.held else 1
