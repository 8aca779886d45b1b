"""A hook of mkdocs: pages link to files of the repository as they do there, and notebooks and files
beside the README become pages.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs.site import notebooks

ROOT = Path(__file__).parents[2]
# Links that leave docs/: their targets are copied into the site under this folder.
FOLDER = "repository"
OUTSIDE = re.compile(r"\]\(((?:\.\./)+)([\w/.-]+?)/?(#[\w-]+)?\)")
FROM_ROOT = re.compile(r"\]\((?!https?:|mailto:|#)(docs/)?")
PAGES = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
}
# The overview says what the README says.
NAMES = {"README.md": "index.md", **{source: name for name, source in PAGES.items()}}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages and files that do not lie in docs/ as such."""
    for name, source in PAGES.items():
        if (ROOT / source).exists():
            text = FROM_ROOT.sub(_from_docs, (ROOT / source).read_text())
            files.append(File.generated(config, name, content=text))
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        name = f"notebooks/{path.stem}"
        text, images = notebooks.as_markdown(notebooks.read(path), path.stem)
        link = f"[Download this notebook]({path.name})\n\n"
        files.append(File.generated(config, f"{name}.md", content=link + text))
        for image, content in images.items():
            files.append(File.generated(config, f"notebooks/{image}", content=content))
    linked = {
        Path(match[2])
        for page in files.documentation_pages()
        for match in OUTSIDE.finditer(page.content_string)
    }
    for path in sorted(linked):
        if (ROOT / path).is_file() and str(path) not in NAMES:
            content = (ROOT / path).read_text()
            files.append(File.generated(config, f"{FOLDER}/{path}.txt", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Points links out of docs/ at the copies; a link to a folder loses its target."""
    up = "../" * page.file.src_uri.count("/")

    def link(match: re.Match) -> str:
        path = match[2]
        if path in NAMES:
            return f"]({up}{NAMES[path]})"
        if (ROOT / path).is_file():
            return f"]({up}{FOLDER}/{path}.txt)"
        return "](" + f"{up}index.md)" if (ROOT / path).is_dir() else match[0]

    return OUTSIDE.sub(link, markdown)


def _from_docs(match: re.Match) -> str:
    """The beginning of a link as seen from docs/, where the pages are."""
    return "](" if match[1] else "](../"
