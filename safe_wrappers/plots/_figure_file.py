"""A figure as a file that is there whole or not at all."""

import io
import os
from pathlib import Path

from matplotlib.figure import Figure

from .._files import write_bytes

_DPI = 150


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Writes a figure atomically, with 150 dots per inch.

    Args:
        figure: What to write.
        path: The file; its ending, such as .png or .pdf, says the format.

    Raises:
        OSError: If it cannot be written; an older file is then as it was.
        ValueError: If matplotlib does not know the format.
    """
    content = io.BytesIO()
    figure.savefig(content, format=Path(path).suffix.removeprefix(".") or "png", dpi=_DPI)
    write_bytes(path, content.getvalue())
