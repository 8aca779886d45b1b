"""All mutants of one source file: what differs from it in one place.

A mutant is what a slip of the hand would leave: a comparison that is turned or has its boundary
moved, an operator, constant or function exchanged for its counterpart, the branches of a `where`
or the arguments of a call swapped, a check dropped, a condition that always or never holds. What
is no behaviour is left alone: docstrings, annotations, decorators, messages (what is raised or
warned, f-strings, `__repr__` and all functions that return text), `strict=` of `zip`, and
numbers that only keep a discarded quotient finite.
"""

import ast
import copy
import dataclasses
from collections.abc import Iterator

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
COUNTERPARTS = {
    one: other
    for pair in (
        ("all", "any"),
        ("argmax", "argmin"),
        ("ceil", "floor"),
        ("max", "min"),
        ("maximum", "minimum"),
        ("ones", "zeros"),
        ("ones_like", "zeros_like"),
        ("lower", "upper"),
    )
    for one, other in (pair, pair[::-1])
}
DROPPED = {"abs", "clip", "isfinite", "nan_to_num", "sqrt", "stop_gradient"}


@dataclasses.dataclass(frozen=True, order=True)
class Mutant:
    """One change of a source file.

    Attributes:
        scope: The function or class that is changed, as "Class.method"; "" for the module.
        kind: What was done, such as "comparison".
        before: The changed statement, or the head of the changed block, as `ast.unparse` writes it.
        after: The same after the change.
        line: Where it stands in the file. It identifies nothing: files change.
        source: The whole changed file.
    """

    scope: str
    kind: str
    before: str
    after: str
    line: int
    source: str


@dataclasses.dataclass(frozen=True)
class _Site:
    """A node that can be changed, where its parent has it, and what it stands in."""

    node: ast.AST
    parent: ast.AST
    field: str
    statement: ast.stmt
    scope: str
    parameters: tuple[str, ...]

    def head(self) -> str:
        """The statement as it is now, without the blocks that it holds."""
        bare = copy.copy(self.statement)
        for name in {"body", "orelse", "finalbody", "handlers"} & set(bare._fields):
            setattr(bare, name, [ast.Pass()] if name == "body" else [])
        return ast.unparse(bare).removesuffix("\n    pass")

    def head_with(self, new: ast.AST) -> str:
        """The same with another node in the place of this one."""
        if self.node is self.statement:
            return ast.unparse(new)
        old = getattr(self.parent, self.field)
        if isinstance(old, list):
            setattr(self.parent, self.field, [new if one is self.node else one for one in old])
        else:
            setattr(self.parent, self.field, new)
        try:
            return self.head()
        finally:
            setattr(self.parent, self.field, old)


def mutants_of(source: str) -> list[Mutant]:
    """All mutants of a source file, each once, in the order of the text."""
    found: dict[tuple[str, str, str], Mutant] = {}
    heads: dict[ast.stmt, str] = {}
    lines = source.encode().splitlines(keepends=True)
    for site in _sites(ast.parse(source)):
        for kind, text in _changes(site):
            before = heads.get(site.statement) or heads.setdefault(site.statement, site.head())
            after = site.head_with(_parsed(text, site.node))
            changed = _spliced(lines, site.node, text)
            mutant = Mutant(site.scope, kind, before, after, site.statement.lineno, changed)
            if before != after:
                found.setdefault((site.scope, before, after), mutant)
    return sorted(found.values(), key=lambda mutant: mutant.line)


def _parsed(text: str, node: ast.AST) -> ast.AST:
    parsed = ast.parse(text).body[0]
    return parsed.value if isinstance(node, ast.expr) and isinstance(parsed, ast.Expr) else parsed


def _sites(tree: ast.Module) -> Iterator[_Site]:
    """All nodes whose change is a change of behaviour."""
    placeholders = _placeholders(tree)

    def inside(
        parent: ast.AST, statement: ast.stmt | None, scope: str, parameters: tuple[str, ...]
    ) -> Iterator[_Site]:
        for field, value in ast.iter_fields(parent):
            for node in value if isinstance(value, list) else [value]:
                if not isinstance(node, ast.AST) or id(node) in placeholders:
                    continue
                if _is_no_behaviour(node, parent):
                    continue
                holder = node if isinstance(node, ast.stmt) else statement
                if holder is not None:
                    yield _Site(node, parent, field, holder, scope, parameters)
                name = getattr(node, "name", "")
                if isinstance(node, ast.FunctionDef):
                    args = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
                    own = tuple(arg.arg for arg in args if arg.arg not in ("self", "cls"))
                    yield from inside(node, holder, f"{scope}.{name}".lstrip("."), own)
                elif isinstance(node, ast.ClassDef):
                    yield from inside(node, holder, f"{scope}.{name}".lstrip("."), parameters)
                else:
                    yield from inside(node, holder, scope, parameters)

    return inside(tree, None, "", ())


def _is_no_behaviour(node: ast.AST, parent: ast.AST) -> bool:
    if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom | ast.arg):
        return True
    if isinstance(node, ast.keyword) and node.arg == "strict":
        return True
    if isinstance(parent, ast.Raise):
        return True
    if isinstance(parent, ast.FunctionDef | ast.ClassDef) and node in parent.decorator_list:
        return True
    if isinstance(parent, ast.FunctionDef) and node is parent.returns:
        return True
    if isinstance(parent, ast.AnnAssign) and node is parent.annotation:
        return True
    if isinstance(node, ast.FunctionDef):
        text = isinstance(node.returns, ast.Name) and node.returns.id == "str"
        return text or node.name in ("__repr__", "__str__")
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True  # a docstring
    return isinstance(node, ast.Call) and _name(node) == "warn"


def _placeholders(tree: ast.Module) -> set[int]:
    """The last arguments of divisors such as `jnp.where(length > 0, length, 1.0)`, by their `id`:
    another `where` around the quotient discards it, so that any number but 0 serves.
    """
    divisors = [node.right for node in ast.walk(tree) if isinstance(node, ast.BinOp)]
    return {
        id(divisor.args[2])
        for divisor in divisors
        if isinstance(divisor, ast.Call) and _name(divisor) == "where" and len(divisor.args) == 3
    }


def _changes(site: _Site) -> Iterator[tuple[str, str]]:
    """What can be put in the place of a node: the kind of the change, and the text."""
    node = site.node
    match node:
        case ast.Compare(ops=[op]):
            for other in COMPARISONS[type(op)]:
                yield "comparison", _with(node, ops=[other()])
        case ast.BinOp(op=op) | ast.BoolOp(op=op) if type(op) in OPERATORS:
            yield "operator", _with(node, op=OPERATORS[type(op)]())
        case ast.UnaryOp(operand=operand) if not _is_axis(site):
            yield "dropped sign", ast.unparse(operand)
        case ast.Constant(value=bool() as value):
            yield "constant", repr(not value)
        case ast.Constant(value=int() as value) if _is_shape(site.parent):
            yield "constant", repr(1 - min(value, 1))
        case ast.Constant(value=int() as value):
            yield "constant", repr(value + 1)
        case ast.Constant(value=float() as value):
            yield "constant", repr(2 * value if value else 1.0)
        case ast.Attribute(attr=name) if name in COUNTERPARTS:
            yield "counterpart", _with(node, attr=COUNTERPARTS[name])
        case ast.Name(id=name) if name in ("all", "any", "max", "min"):
            yield "counterpart", COUNTERPARTS[name]
        case ast.Call():
            yield from _of_call(node)
        case ast.IfExp():
            yield "condition", ast.unparse(node.body)
            yield "condition", ast.unparse(node.orelse)
        case ast.Raise():
            yield "dropped check", "pass"
        case ast.Expr(value=ast.Call(func=ast.Name())):
            yield "dropped check", "pass"
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Name):
            for name in site.parameters[:1]:
                yield "returned argument", f"return {name}"
    if isinstance(site.parent, ast.If) and site.field == "test":
        yield "condition", "True"
        yield "condition", "False"


def _of_call(node: ast.Call) -> Iterator[tuple[str, str]]:
    name, args = _name(node), node.args
    if name in DROPPED and args:
        first = ast.unparse(args[0])
        # Everything counts as finite, in its own shape.
        yield "dropped call", f"(({first}) == ({first})) | True" if name == "isfinite" else first
    if name == "where" and len(args) == 3:
        yield "swapped", _with(node, args=[args[0], args[2], args[1]])
    elif len(args) == 2 and name not in COUNTERPARTS and ast.dump(args[0]) != ast.dump(args[1]):
        if all(isinstance(arg, ast.Name | ast.Attribute | ast.Subscript) for arg in args):
            yield "swapped", _with(node, args=args[::-1])


def _is_axis(site: _Site) -> bool:
    """Whether this is the axis of a reduction, where -1 and 1 are often the same."""
    return isinstance(site.parent, ast.keyword) and site.parent.arg == "axis"


def _is_shape(parent: ast.AST) -> bool:
    """Whether this counts axes of an array, of which most have two."""
    return isinstance(parent, ast.Subscript) and ast.unparse(parent.value).endswith("shape")


def _name(node: ast.Call) -> str:
    """The last part of what is called."""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def _with(node: ast.AST, **fields: object) -> str:
    """The text of a node with some fields changed."""
    values = {name: getattr(node, name) for name in node._fields} | fields
    return ast.unparse(ast.fix_missing_locations(type(node)(**values)))


def _spliced(lines: list[bytes], node: ast.AST, text: str) -> str:
    """The file with the text in the place of a node; all that is beside it stays as it is."""
    assert isinstance(node, ast.expr | ast.stmt)
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    if isinstance(node, ast.expr):
        text = f"({text})"
    first, last = lines[node.lineno - 1], lines[node.end_lineno - 1]
    return b"".join(
        [
            *lines[: node.lineno - 1],
            first[: node.col_offset] + text.encode() + last[node.end_col_offset :],
            *lines[node.end_lineno :],
        ]
    ).decode()
