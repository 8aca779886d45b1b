"""What an audit found out about one question."""

import dataclasses
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from matplotlib.figure import Figure

Status = Literal["held", "failed", "not judged"]

_VALUES = ("what", "value")


class Table(NamedTuple):
    """Rows of texts under a heading.

    Attributes:
        title: What the table is about; empty if the text around it says so.
        columns: Heading of each column.
        rows: As many texts in each as there are columns.
        source: Where the numbers come from.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    source: str


class Picture(NamedTuple):
    """A picture.

    Attributes:
        png: The content of a PNG file.
        caption: What it shows, in a sentence.
    """

    png: bytes
    caption: str


@dataclasses.dataclass(frozen=True)
class Finding:
    """The answer to one question of an audit.

    Args:
        key: A short name for programs, such as "proof".
        title: A short name for people.
        question: What was asked, in a sentence.
        status: "held", "failed", or "not judged" if nothing was found out.
        answer: What was found, or why nothing was, in a sentence or two.
        seconds: Time taken.
        tables: The numbers behind it, each with where it comes from.
        data: The same for programs, ready for JSON.
        picture: A picture of it, or None.
    """

    key: str
    title: str
    question: str
    status: Status
    answer: str
    _: dataclasses.KW_ONLY
    seconds: float = 0.0
    tables: tuple[Table, ...] = ()
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    picture: Picture | None = None

    @property
    def short(self) -> str:
        """The answer without what follows its first sentence or semicolon."""
        return re.split(r"[.;] ", self.answer)[0].rstrip(".") + "."

    def __repr__(self) -> str:
        return f"Finding({self.key}: {self.status}, {self.seconds:.3g} s)"


def values(title: str, source: str, rows: Sequence[tuple[str, str]]) -> Table:
    """A table of named values that all come from one source."""
    return Table(title, _VALUES, tuple(rows), source)


def drawn(figure: Figure, caption: str) -> Picture:
    """A figure as a picture, the same bytes for the same figure.

    More than two panels in a row, too small for a page, become two columns.
    """
    panels = figure.axes
    if len(panels) > 2:
        rows = -(-len(panels) // 2)
        grid = figure.add_gridspec(rows, 2)
        for index, panel in enumerate(panels):
            panel.set_subplotspec(grid[divmod(index, 2)])
        figure.set_size_inches(10.0, 4.6 * rows)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120, metadata={"Software": None})
    return Picture(content.getvalue(), caption)


def sentence(text: object) -> str:
    """A text on one line that begins with a capital letter and ends with a full stop."""
    line = " ".join(str(text).split())
    line = line[:1].upper() + line[1:]
    return line if line.endswith((".", "!", "?")) else f"{line}."
