"""Everything that the library writes goes through `_files.py`, so that it is there whole or not at
all.
"""

import ast

import pytest

from .test_layers import files

WRITERS = {
    *("write_text", "write_bytes", "savefig", "imsave", "save", "savez", "savez_compressed"),
    *("savetxt", "tofile", "dump", "to_csv", "rename", "symlink_to", "touch"),
    *("NamedTemporaryFile", "TemporaryFile", "TemporaryDirectory", "mkstemp", "mkdtemp"),
    *("copy", "copyfile", "copytree", "move", "SummaryWriter", "PyTreeCheckpointer"),
}

# (file, call): why it may write past `_files.py`.
REASONS = {
    ("plots/_figure_file", "savefig"): "into memory",
    ("plots/_animation", "save"): "into memory",
    ("auditing/_finding", "savefig"): "into memory",
    ("deployment/_numpy_files", "savez"): "into memory",
    ("algos/shac/checkpoint", "save"): "orbax, within a folder that appears when it is whole",
    ("algos/shac/checkpoint", "PyTreeCheckpointer"): "the same; and it reads",
    ("algos/shac/checkpoint", "rename"): "within that folder; and out of the way, to be deleted",
    ("algos/shac/fitting", "save"): "`writer.save`",
    ("algos/shac/writer", "save"): "`checkpoint.save`",
    ("cli/_synthesise_command", "save"): "`Certificate.save`, which writes through `_files.py`",
    ("evaluation/_metrics_file", "SummaryWriter"): "a log that nothing is read back from",
}


def writes(tree):
    """The names of the calls that may write."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id == "open":
            yield "open"
        if isinstance(called, ast.Name) and called.id == "SummaryWriter":
            yield "SummaryWriter"
        if not isinstance(called, ast.Attribute):
            continue
        of = called.value.id if isinstance(called.value, ast.Name) else None
        if called.attr == "open" and any(
            isinstance(each, ast.Constant) and set(str(each.value)) & set("wax+")
            for each in (*node.args, *(keyword.value for keyword in node.keywords))
        ):
            yield "open"
        if called.attr in ("replace", "copy") and of not in ("os", "shutil"):
            continue  # of a text, of an array
        if called.attr in WRITERS or (called.attr == "replace" and of == "os"):
            yield called.attr


FOUND = {
    ("/".join(parts), name)
    for path, parts in files()
    if parts != ("_files",)
    for name in writes(ast.parse(path.read_text()))
}


def test_nothing_is_written_past_the_one_place_but_for_a_reason():
    assert FOUND - set(REASONS) == set()
    assert set(REASONS) - FOUND == set()


@pytest.mark.parametrize(
    "code",
    [
        "path.write_text('a')",
        "open('a', 'w')",
        "path.open('ab')",
        "path.open(mode='x')",
        "figure.savefig(path)",
        "np.savez(path, a=a)",
        "os.replace(a, b)",
        "json.dump(a, file)",
        "tempfile.NamedTemporaryFile()",
        "SummaryWriter('a')",
    ],
)
def test_writing_is_recognised(code):
    assert len(list(writes(ast.parse(code)))) == 1


@pytest.mark.parametrize("code", ["path.open('rb')", "text.replace('a', 'b')", "array.copy()"])
def test_reading_is_not_taken_for_it(code):
    assert list(writes(ast.parse(code))) == []
