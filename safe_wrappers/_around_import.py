"""What is to happen when somebody imports another package, without importing it here."""

import importlib.util
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Around = Callable[[], AbstractContextManager[Any]]


class _Finder(MetaPathFinder):
    """Finds nothing itself: it only sees who is looked for."""

    def __init__(self):
        self.waiting: dict[str, Around] = {}

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        around = self.waiting.pop(fullname, None)
        if around is None:
            return None
        spec = importlib.util.find_spec(fullname)  # by the others, for nobody waits any more
        if spec is None or spec.loader is None:
            return spec
        loader: Any = spec.loader
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module  # this once
            try:
                with around():
                    execute(module)
            except BaseException:
                self.waiting[fullname] = around  # it is not imported, so it may come again
                raise

        loader.exec_module = exec_module
        return spec


_FINDER = _Finder()


def around_import(name: str, around: Around) -> None:
    """Lets a module be imported within a context manager; if it is imported already, the context is
    entered and left at once.

    Args:
        name: Full name of the module.
        around: Gives the context manager.
    """
    if name in sys.modules:
        with around():
            return
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    _FINDER.waiting[name] = around
