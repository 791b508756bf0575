"""Which modules of this project a module imports when it is loaded, and the circles among them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def module_name(path: Path, root: Path = ROOT) -> str:
    """The dotted name of a source file."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def at_load(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements that run when the module is loaded: none in functions, none under TYPE_CHECKING."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for late in node.orelse:
                yield from at_load(late)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from at_load(node)


def imported(path: Path, names: Iterable[str], root: Path = ROOT) -> set[str]:
    """Modules among `names` that a source file imports when it is loaded, by name; not the packages round them."""
    known, name = set(names), module_name(path, root)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in at_load(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
            continue
        parent = package
        for _ in range(node.level - 1):
            parent = parent.rpartition(".")[0]
        base = node.module or "" if not node.level else ".".join(filter(None, (parent, node.module)))
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            found.add(inner if inner in known else base)
    return (found & known) - {name}


def circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Groups of modules of which each reaches every other, smallest names first (Tarjan's components)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        number[node] = low[node] = len(number)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in number:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], number[other])
        if low[node] == number[node]:
            at = stack.index(node)
            group = sorted(stack[at:])
            del stack[at:]
            if len(group) > 1:
                found.append(group)

    for node in sorted(graph):
        if node not in number:
            visit(node)
    return sorted(found)


def named_late(path: Path) -> Iterator[str]:
    """Module names in strings that a source file imports by: `find_spec`, `import_module`, a `Registry`'s built-ins."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tables = dict(assigned(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func).rpartition(".")[2]
        called = called.partition("[")[0]
        if called in ("find_spec", "import_module", "__import__"):
            yield from strings(node.args[:1])
        elif called.endswith("Registry"):
            for given in [*node.args, *(word.value for word in node.keywords)]:
                table = tables.get(given.id) if isinstance(given, ast.Name) else given
                if isinstance(table, ast.Dict):
                    yield from (text.partition(":")[0] for text in strings(table.values))


def assigned(tree: ast.Module) -> Iterator[tuple[str, ast.AST | None]]:
    """Name and value of what a module assigns."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node.value


def strings(nodes: Iterable[ast.AST | None]) -> Iterator[str]:
    """String constants anywhere in some expressions."""
    for node in nodes:
        if node is not None:
            for each in ast.walk(node):
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield each.value
