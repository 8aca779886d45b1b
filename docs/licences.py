"""Writes docs/licences.md: the licences of all packages that the library needs on this system, as
the installed packages themselves state them.

    python docs/licences.py
"""

import importlib.metadata
import pathlib
import re
import tomllib

from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
INTRODUCTION = """# Licences

The library is under the Apache License 2.0. It needs the packages below, each under the licence
that the installed package states in its own metadata. They are installed beside the library and are
no part of it. `make licences` writes this page anew, for Linux; the direct dependencies of
`pyproject.toml` come first.

"""
# What long licence texts and free-form names stand for.
_KNOWN = {
    "Apache 2.0": r"apache(?=.*2)|apache license|^apache software license$",
    "BSD": r"bsd",
    "MIT": r"\bmit\b|permission is hereby granted, free of charge",
    "PSF": r"python software foundation|\bpsf\b",
    "MPL 2.0": r"mozilla public license|mpl-?2",
}


def direct() -> list[Requirement]:
    """The packages that pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(text) for text in project["dependencies"]]


def needed() -> dict[str, str]:
    """The licence of each package that is needed here, directly or by another one, by its name.

    Raises:
        PackageNotFoundError: If one is not installed.
    """
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    waiting = direct()
    while waiting:
        asked = waiting.pop()
        package = importlib.metadata.distribution(asked.name)
        found[normal(asked.name)] = licence(package)
        for extra in ("", *asked.extras):
            if (asked.name, extra) in seen:
                continue
            seen.add((asked.name, extra))
            for also in map(Requirement, package.requires or ()):
                if also.marker is None or also.marker.evaluate({"extra": extra}):
                    waiting.append(also)
    return found


def licence(package: importlib.metadata.Distribution) -> str:
    """The licence that a package states: its expression, else its classifiers, else its text."""
    stated = package.metadata
    if stated["License-Expression"]:
        return stated["License-Expression"]
    classifiers = [
        text.rsplit(" :: ", 1)[-1]
        for text in stated.get_all("Classifier") or []
        if text.startswith("License ::") and not text.endswith("OSI Approved")
    ]
    if classifiers:
        return ", ".join(sorted(classifiers))
    text = stated["License"] or ""
    if 0 < len(text) < 40:
        return text
    return next((name for name, how in _KNOWN.items() if re.search(how, text.lower())), "unknown")


def normal(name: str) -> str:
    """The name of a package as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def page() -> str:
    """The content of the page."""
    licences, first = needed(), {normal(asked.name) for asked in direct()}
    rows = sorted(licences.items(), key=lambda row: (row[0] not in first, row[0]))
    lines = [
        f"| {name} | {text} | {'yes' if name in first else 'through others'} |"
        for name, text in rows
    ]
    return INTRODUCTION + "\n".join(
        ["| package | licence | a direct dependency |", "|---|---|---|", *lines, ""]
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Wrote {PAGE.relative_to(ROOT)}.")
