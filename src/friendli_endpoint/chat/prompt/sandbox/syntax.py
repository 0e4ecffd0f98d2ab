"""Changes in a template's syntax tree that let nothing run unmeasured.

Jinja compiles `~`, slices, comparisons and loops to plain Python, which has no limits. They become
filters here, because a filter is called directly. Filters that take the context are never computed
while compiling, so none of them is optimized away.
"""

from collections.abc import Iterator

from jinja2 import Environment, nodes

from friendli_endpoint.chat.prompt.sandbox.values import SCALARS

__all__ = [
    "CHARGE",
    "CHECK_KEY",
    "COMPARE",
    "CONCATENATE",
    "REFUSE",
    "REFUSED_STATEMENTS",
    "SLICE",
    "STATEMENTS",
    "restrict",
]

CHARGE, CHECK_KEY, COMPARE, CONCATENATE, REFUSE, SLICE = (
    f" {name}" for name in ("charge", "check key", "compare", "concatenate", "refuse", "slice")
)
"""Names of filters; the space keeps a template from naming them."""

STATEMENTS = (
    nodes.Assign,
    nodes.AssignBlock,
    nodes.Break,
    nodes.CallBlock,
    nodes.Continue,
    nodes.ExprStmt,
    nodes.FilterBlock,
    nodes.For,
    nodes.If,
    nodes.Macro,
    nodes.Output,
    nodes.With,
)
REFUSED_STATEMENTS = {
    nodes.Block: "block",
    nodes.EvalContextModifier: "autoescape",
    nodes.Extends: "extends",
    nodes.FromImport: "from",
    nodes.Import: "import",
    nodes.Include: "include",
    nodes.OverlayScope: "autoescape",
    nodes.Scope: "autoescape",
    nodes.ScopedEvalContextModifier: "autoescape",
}
"""Statements that no chat template needs: they read other templates, or escape text."""

_BYTES = {nodes.Output: 40, nodes.For: 800, nodes.Macro: 1500, nodes.CallBlock: 1500}
"""Memory of what a statement creates each time it runs, besides the values of its expressions."""

_ITEM_BYTES = 100
"""Memory of an item of a list or object in the template, with a value that is not charged."""

_MAX_LITERAL = 1000
"""Maximum length of a text that is compared unmeasured with each item of a list."""

_LITERALS = (nodes.List, nodes.Tuple, nodes.Dict)


def restrict(template: nodes.Template, environment: Environment) -> None:
    """Changes a template so that everything that it does is measured."""
    _rewrite_fields(template)
    template.set_environment(environment)


def _rewrite_fields(node: nodes.Node) -> None:
    for field, value in node.iter_fields():
        if isinstance(value, list):
            setattr(node, field, [_rewritten(v) if isinstance(v, nodes.Node) else v for v in value])
        elif isinstance(value, nodes.Node):
            setattr(node, field, _rewritten(value))


def _rewritten(node: nodes.Node) -> nodes.Node:
    if isinstance(node, nodes.Stmt) and not isinstance(node, STATEMENTS):
        name = REFUSED_STATEMENTS.get(type(node), type(node).__name__)
        return _statement(_filter(REFUSE, nodes.Const(name)), node)
    _rewrite_fields(node)
    match node:
        case nodes.For():
            _charge_loop(node)
        case nodes.Macro() | nodes.CallBlock():
            node.body.insert(0, _statement(_charge(node.body), node))
        case nodes.Concat():
            return _filter(CONCATENATE, *node.nodes).set_lineno(node.lineno)
        case nodes.Getitem(arg=nodes.Slice() as part):
            bounds = (bound or nodes.Const(None) for bound in (part.start, part.stop, part.step))
            return _filter(SLICE, node.node, *bounds).set_lineno(node.lineno)
        case nodes.Compare() if not _is_cheap(node):
            pairs = [value for operand in node.ops for value in _pair(operand)]
            return _filter(COMPARE, node.expr, *pairs).set_lineno(node.lineno)
        case nodes.Pair() if not isinstance(node.key, nodes.Const):
            node.key = _filter(CHECK_KEY, node.key)
    return node


def _charge_loop(loop: nodes.For) -> None:
    loop.body.insert(0, _statement(_charge(loop.body), loop))
    if loop.test is not None:
        loop.test = nodes.And(_charge([loop.test]), loop.test)


def _charge(body: list[nodes.Node] | list[nodes.Expr]) -> nodes.Filter:
    return _filter(CHARGE, nodes.Const(64 + sum(map(_created_bytes, body))))


def _created_bytes(node: nodes.Node) -> int:
    size = sum(size for kind, size in _BYTES.items() if isinstance(node, kind))
    if isinstance(node, _LITERALS):
        size += 232 + _ITEM_BYTES * len(node.items)
    return size + sum(map(_created_bytes, node.iter_child_nodes()))


def _is_cheap(node: nodes.Compare) -> bool:
    """Whether all operands except at most one are simple constants."""
    operands = [node.expr, *(operand.expr for operand in node.ops)]
    return sum(not _is_simple(operand) for operand in operands) <= 1


def _is_simple(node: nodes.Expr) -> bool:
    if isinstance(node, nodes.List | nodes.Tuple):
        return all(isinstance(item, nodes.Const) for item in node.items)
    return (
        isinstance(node, nodes.Const)
        and type(node.value) in SCALARS
        and (not isinstance(node.value, str) or len(node.value) <= _MAX_LITERAL)
    )


def _pair(operand: nodes.Operand) -> Iterator[nodes.Expr]:
    yield nodes.Const(operand.op)
    yield operand.expr


def _filter(name: str, value: nodes.Expr, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, list(args), [], None, None)


def _statement(expression: nodes.Expr, origin: nodes.Node) -> nodes.ExprStmt:
    statement = nodes.ExprStmt(expression)
    statement.set_lineno(origin.lineno)
    return statement
