"""Runs the notebooks of docs/notebooks, stores their outputs, and writes them as Markdown.

python docs/site/notebooks.py [NAME ...]
"""

import base64
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "notebooks"
Notebook = dict[str, Any]


def read(path: Path) -> Notebook:
    """The notebook at a path, as parsed JSON."""
    return json.loads(path.read_text())


def code_cells(notebook: Notebook) -> list[str]:
    """The source of each code cell."""
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run(notebook: Notebook) -> Notebook:
    """Runs the cells one after the other in one namespace, and stores what they print and draw."""
    from matplotlib import pyplot as plt

    names: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        count += 1
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("".join(cell["source"]), f"cell {count}", "exec"), names)
        cell["execution_count"] = count
        cell["outputs"] = _text(printed.getvalue())
        cell["outputs"] += [_picture(plt.figure(number)) for number in plt.get_fignums()]
        plt.close("all")
    return notebook


def as_markdown(notebook: Notebook, stem: str) -> tuple[str, dict[str, bytes]]:
    """The notebook as a page, and the pictures that the page shows, by file name."""
    parts: list[str] = []
    images: dict[str, bytes] = {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            if output["output_type"] == "stream":
                parts.append(f"```text\n{''.join(output['text']).rstrip()}\n```")
                continue
            name = f"{stem}_{len(images)}.png"
            images[name] = base64.b64decode(output["data"]["image/png"])
            parts.append(f"![Output of the cell above]({name})")
    return "\n\n".join(parts) + "\n", images


def _text(printed: str) -> list[dict[str, Any]]:
    if not printed:
        return []
    return [{"name": "stdout", "output_type": "stream", "text": printed.splitlines(keepends=True)}]


def _picture(figure: Any) -> dict[str, Any]:
    """The figure with 64 colours, which keeps notebooks small."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, dpi=80)
    Image.open(drawn).convert("RGB").quantize(64).save(small, "png", optimize=True)
    return {
        "data": {"image/png": base64.b64encode(small.getvalue()).decode()},
        "metadata": {},
        "output_type": "display_data",
    }


def main() -> None:
    """Runs the named notebooks, by default all, and writes them back with their outputs."""
    import matplotlib

    matplotlib.use("Agg")
    for name in sys.argv[1:] or sorted(path.stem for path in FOLDER.glob("*.ipynb")):
        path = FOLDER / f"{name}.ipynb"
        path.write_text(json.dumps(run(read(path)), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
