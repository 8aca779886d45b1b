"""An extension of griffe, which reads the docstrings for the API pages: sections of our own become
lists.
"""

import re
from typing import Any

import griffe

# Sections that griffe does not know: it would run their lines together.
SECTIONS = re.compile(r"^( *)(Metrics|Info):\n((?:\1 {4}.*\n|\n)+)", re.MULTILINE)
EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)


class Sections(griffe.Extension):
    """Rewrites `Example:` as griffe spells it, and `Metrics:` and `Info:` as bullet lists."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for each object that was found in the source."""
        if obj.docstring:
            obj.docstring.value = rewritten(obj.docstring.value)


def rewritten(docstring: str) -> str:
    """The docstring as griffe and Markdown read it."""
    docstring = EXAMPLE.sub(r"\1Examples:", docstring + "\n")
    return SECTIONS.sub(_bullets, docstring).rstrip("\n")


def _bullets(section: re.Match) -> str:
    indent, title, body = section.groups()
    lines = [f"{indent}**{title}**", ""]
    for line in body.splitlines():
        text = line.removeprefix(indent + "    ")
        entry = re.match(r'([\w/".\[\], ]+): (\S.*)', text)
        if entry:
            bullet = f"{indent}- `{entry[1]}`: {entry[2]}"
            lines += [bullet] if lines[-1].startswith(f"{indent}- ") else ["", bullet]
        elif text.startswith(" ") or (text and lines[-1] and not lines[-1].startswith("- ")):
            lines[-1] += " " + text.strip()
        else:
            lines.append(indent + text)
    return "\n".join(lines) + "\n"
