"""Names of a package that are imported when they are asked for (PEP 562)."""

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def lazy(
    package: str,
    modules: Iterable[str] = (),
    names: Mapping[str, Iterable[str]] | None = None,
    hidden: Iterable[str] = (),
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """What a package needs as `__getattr__` and `__dir__`.

    Args:
        package: Its name.
        modules: Modules in it that are its attributes.
        names: By module, the names in it that are attributes of the package.
        hidden: Those of these that `dir` does not show, since they need an optional package.
    """
    homes = {name: module for module, those in (names or {}).items() for name in those}
    modules = frozenset(modules)
    shown = (modules | homes.keys()) - frozenset(hidden)

    def get(name: str) -> Any:
        if name in homes:
            value = getattr(importlib.import_module(f"{package}.{homes[name]}"), name)
        elif name in modules:
            value = importlib.import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        vars(sys.modules[package])[name] = value  # the next time nothing is looked up
        return value

    def names_in() -> list[str]:
        return sorted(shown | vars(sys.modules[package]).keys())

    return get, names_in
