"""Parsing and dispatch. Heavy packages are imported by the command that needs them."""

import contextlib
import importlib
import importlib.metadata
import io
import itertools
import sys
from collections.abc import Sequence

import tyro

from ._options import (
    Attack,
    Audit,
    Certify,
    Conform,
    Evaluate,
    Experiment,
    Export,
    Show,
    Soak,
    Synthesise,
    Train,
)
from ._ranges import check
from ._usage import UsageError, require_known

_COMMANDS = {
    "train": Train,
    "evaluate": Evaluate,
    "export": Export,
    "show": Show,
    "certify": Certify,
    "conform": Conform,
    "attack": Attack,
    "soak": Soak,
    "audit": Audit,
    "synthesise": Synthesise,
    "experiment": Experiment,
}
Options = (
    Train
    | Evaluate
    | Export
    | Show
    | Certify
    | Conform
    | Attack
    | Soak
    | Audit
    | Synthesise
    | Experiment
)
_DESCRIPTION = "Provably safe reinforcement learning on JAX and Brax."
_RANGES = ("--constraints", "--disturbances")
_INTERRUPTED = 130  # what shells report for a process ended by Ctrl-C


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        args: Arguments without the program's name; by default those of the process.

    Returns:
        The exit code: 0 if all went well; 1 if a safeguarded run left its safe set, a set was not
            proved, a simulator did not conform, an attack or a soak found an unsafe step, or an
            audit found what does not hold, or a row of a study failed; 2 if an argument was wrong;
            130 after Ctrl-C.
    """
    path = sys.path[:]  # to which modules of the user's own are added
    try:
        return _run(_parse(sys.argv[1:] if args is None else list(args)))
    except UsageError as error:
        print(f"safe-wrappers: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nsafe-wrappers: interrupted.", file=sys.stderr)
        return _INTERRUPTED
    finally:
        sys.path[:] = path


def _run(options: Options) -> int:
    name = next(name for name, kind in _COMMANDS.items() if isinstance(options, kind))
    return getattr(importlib.import_module(f"safe_wrappers.cli._{name}_command"), name)(options)


def _parse(args: list[str]) -> Options:
    """The options of a command.

    Raises:
        UsageError: On an unknown command, option or value.
        SystemExit: After printing a help text.
    """
    name = args[0] if args else "--help"
    if name == "--version":
        print(f"safe-wrappers {importlib.metadata.version('safe-wrappers')}")
        raise SystemExit(0)
    if name.startswith("-"):
        require_known("option", name, ["-h", "--help", "--version"])
        tyro.extras.subcommand_cli_from_dict(
            _COMMANDS, prog="safe-wrappers", description=_DESCRIPTION, args=["--help"]
        )
    require_known("command", name, _COMMANDS)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            options, unknown = tyro.cli(
                _COMMANDS[name],
                prog=f"safe-wrappers {name}",
                args=_joined(args[1:]),
                return_unknown_args=True,
            )
    except SystemExit as error:
        if not error.code:
            raise
        raise UsageError(
            f"{_first_paragraph(printed.getvalue())} See `safe-wrappers {name} --help`."
        ) from None
    if unknown:
        option = unknown[0].split("=")[0]
        if not option.startswith("-"):
            raise UsageError(
                f"unexpected argument {option!r} of `safe-wrappers {name}`; options start with --."
            )
        require_known("option", option, _flags(_COMMANDS[name]))
    check(options)
    return options


def _joined(args: list[str]) -> list[str]:
    """The arguments, with ranges joined to their options: a range such as -0.3:0.3 would be taken
    for an option.
    """
    joined: list[str] = []
    for arg in args:
        if joined and joined[-1] in _RANGES and not arg.startswith("--"):
            joined[-1] += f"={arg}"
        else:
            joined.append(arg)
    return joined


def _flags(command: type) -> list[str]:
    return [f"--{field.replace('_', '-')}" for field in command.__dataclass_fields__]


def _first_paragraph(box: str) -> str:
    """The message under the title of one of tyro's boxes, which are drawn in Unicode or in ASCII,
    as one line.
    """
    lines = [line.strip("│╭╮╰╯ ") for line in box.splitlines()[1:]]
    parts = itertools.groupby(lines, key=lambda line: line.strip("─-") == "" != line)
    message = next(list(part) for is_rule, part in parts if not is_rule)
    return " ".join(filter(None, message)).rstrip(".") + "."
