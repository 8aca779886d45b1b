"""What a user has written, given as MODULE:ATTRIBUTE."""

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ._usage import UsageError, flag, require_known


def is_own(given: str) -> bool:
    """Whether something of the user's own is meant, and no bundled system and no file."""
    return ":" in given


def imported(name: str, given: str) -> Any:
    """The attribute of a module, which is imported with the current directory on the path, or of a
    Python file (`plants/drone.py:env`).

    Args:
        name: The option or argument that it was given for, for errors.
        given: "module:attribute".

    Raises:
        UsageError: If there is no such thing, or importing it fails.
    """
    module_name, _, attribute = given.partition(":")
    if not module_name or not attribute:
        raise UsageError(f"{name} must be MODULE:ATTRIBUTE, but it is {given!r}.")
    with_folder = str(Path(module_name).parent if module_name.endswith(".py") else Path.cwd())
    if with_folder not in sys.path:
        sys.path.insert(0, with_folder)  # until the command ends: functions may import later
    try:
        module = _module(module_name)
    except Exception as error:  # the module is the user's and may raise anything
        raise UsageError(
            f"{name} {given} cannot be imported from {Path.cwd()}: {_said(error)}"
        ) from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        values = vars(module).items()
        names = [n for n, v in values if not n.startswith("_") and not inspect.ismodule(v)]
        require_known(f"attribute of {module_name} for {name}", attribute, names)
        raise  # one that is known, and raises this error itself


def made(name: str, given: str, options: Mapping[str, Any], kinds: tuple[type, ...]) -> Any:
    """What the attribute is, or if it is a function or a class what it returns.

    Args:
        name: The option or argument that it was given for, for errors.
        given: "module:attribute".
        options: Those that the user gave on the command line, by the names of their parameters. A
            function gets them; an object that is made already cannot.
        kinds: Classes of objects that are not called, though they can be.

    Raises:
        UsageError: If it cannot be imported, called, or given the options.
    """
    found = imported(name, given)
    if isinstance(found, kinds) or not callable(found):
        if options:
            raise UsageError(
                f"{given} is made already, so {flag(next(iter(options)))} comes too late; give "
                "MODULE:FUNCTION with a function that has this parameter."
            )
        return found
    try:
        signature = inspect.signature(found)
    except ValueError:
        signature = None  # of some built-in functions
    if signature is not None:
        _require_callable(name, given, signature, options)
    try:
        return found(**options)
    except Exception as error:  # the function is the user's and may raise anything
        raise UsageError(f"{name} {given} cannot be made: {_said(error)}") from error


def _require_callable(
    name: str, given: str, signature: inspect.Signature, options: Mapping[str, Any]
) -> None:
    takes = signature.parameters
    anything = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in takes.values())
    for option in options:
        if option not in takes and not anything:
            raise UsageError(
                f"{given} has no parameter {option!r}, so {flag(option)} cannot be given to it."
            )
    try:
        signature.bind(**options)
    except TypeError as error:
        raise UsageError(
            f"{name} {given} must be something made, or a function that can be called without "
            f"arguments, but it cannot be called so: {error}."
        ) from error


def _module(name: str) -> ModuleType:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name)
    if not path.is_file():
        raise ImportError(f"there is no file {name}")
    # Under the name of the file, as if it were imported from its folder.
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _said(error: Exception) -> str:
    """An exception of the user's code in one line, with the place where it was raised."""
    text = " ".join(str(error).split()).rstrip(".")
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename != __file__ and "importlib" not in frame[0]]
    where = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {text}{where}."
