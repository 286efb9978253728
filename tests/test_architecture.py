"""The arrows between the rooms point one way, and the middle imports NumPy only."""

from __future__ import annotations

import ast
import types
from pathlib import Path

import pytest

import kconvert

PACKAGE = Path(kconvert.__file__).parent

# Room -> rooms it may import from. A room not named here may import every room that is.
ALLOWED = {
    "errors": set(),
    "arguments": {"errors"},
    "memory": {"errors"},
    "packages": {"errors"},
    "ir": {"errors"},
    "ops": {"errors", "arguments", "ir"},
    "passes": {"errors", "arguments", "ir", "ops"},
    "bridge": {"errors", "arguments", "packages"},
    "layers": {"errors"},
    "regularizers": {"errors"},
    "reader": {"errors", "arguments", "ir", "ops", "layers"},
    "targets": {"errors", "ir", "ops", "bridge", "layers"},
    "simulators": {"errors", "arguments", "memory", "packages", "ir", "ops", "targets", "bridge"},
    "fidelity": {
        *("errors", "arguments", "memory", "ir", "ops", "passes", "per_layer", "options"),
        *("data", "layers", "reader", "results", "scoring", "simulators"),
    },
    "diagnosis": {"ir", "ops", "passes", "data", "fidelity", "results", "scoring", "simulators"},
    "per_layer": {"errors", "arguments", "ir"},
    "recipe": {"errors", "arguments", "ir", "ops", "per_layer"},
}
THIRD_PARTY = {
    "errors": set(),
    "arguments": {"numpy"},
    "memory": set(),
    "packages": set(),
    "ir": {"numpy"},
    "ops": {"numpy"},
    "passes": {"numpy"},
    "bridge": {"packaging", "tensorflow"},
    "layers": {"numpy", "keras"},
    "regularizers": {"keras"},
    "reader": {"numpy", "keras"},
    "targets": {"numpy", "scipy", "nengo", "nir", "tensorflow", "keras"},
    "simulators": {"numpy", "scipy", "nengo", "numba", "llvmlite"},
    "fidelity": {"numpy", "scipy"},
    "diagnosis": {"numpy"},
    "per_layer": set(),
    "recipe": set(),
}
SHOWN_BY = {"results", "plot"}
"""Rooms that the methods below may import from, in whatever room their class is: they show it."""
SHOWING = ("_repr_html_", "to_dict", "to_frame", "plot")
STANDARD = set(__import__("sys").stdlib_module_names)


def imports(path: Path, tree: ast.AST | None = None) -> list[tuple[str, ...]]:
    """Every import of a file as a dotted path; those of kconvert start with ``kconvert``."""
    package = ("kconvert", *path.relative_to(PACKAGE).parent.parts)
    found = []
    for node in ast.walk(tree or ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = tuple(node.module.split(".")) if node.module else ()
            if node.module is None:
                found += [(*base, alias.name) for alias in node.names]
            else:
                found.append((*base, *module))
    return found


def files(room: str) -> list[Path]:
    folder = PACKAGE / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{room}.py"]


def showing(tree: ast.Module) -> list[ast.FunctionDef]:
    """The methods that show a value, and import what they need for it when they are called."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return [
        node
        for each in classes
        for node in each.body
        if isinstance(node, ast.FunctionDef) and node.name in SHOWING
    ]


def without(tree: ast.Module, methods: list[ast.FunctionDef]) -> ast.Module:
    """A module without some methods of its classes."""
    for each in tree.body:
        if isinstance(each, ast.ClassDef):
            each.body = [node for node in each.body if node not in methods]
    return tree


@pytest.mark.parametrize("room", ALLOWED)
def test_arrows(room):
    for path in files(room):
        tree = ast.parse(path.read_text())
        shows = [target for method in showing(tree) for target in imports(path, method)]
        for target in shows:
            assert target[1] in ALLOWED[room] | {room} | SHOWN_BY, f"{path.name} imports {target}"
        for target in imports(path, without(tree, showing(tree))):
            if target[0] == "kconvert":
                assert len(target) > 1, f"{path} imports the whole package"
                assert target[1] in ALLOWED[room] | {room}, f"{path.name} imports {target}"
            else:
                allowed = STANDARD | THIRD_PARTY[room]
                assert target[0] in allowed, f"{path.name} imports {target[0]}"


def at_import(path: Path) -> set[tuple[str, ...]]:
    """What a file imports when it is imported: not inside functions, nor for type checkers."""
    tree = ast.parse(path.read_text())
    tree.body = [
        node
        for node in tree.body
        if not isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    return set(imports(path, tree))


def test_a_stored_network_needs_neither_keras_nor_nengo():
    waiting, seen = [PACKAGE / "files" / "store.py"], set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for target in at_import(path):
            assert target[0] not in ("keras", "tensorflow", "nengo", "nengo_dl"), path
            for depth in range(2, len(target) + 1 if target[0] == "kconvert" else 0):
                module = PACKAGE.joinpath(*target[1:depth])
                found = (module.with_suffix(".py"), module / "__init__.py")
                waiting += [each for each in found if each.exists()]
    assert PACKAGE / "simulators" / "events" / "compiler" / "plan.py" in seen


def test_no_code_reads_the_text_of_a_decision():
    """Decisions are for people. ``check`` shows them, by their kind."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and "decision" in ast.unparse(node.left):
                assert path.name == "checking.py", ast.unparse(node)


def test_only_the_reader_imports_private_keras():
    for path in PACKAGE.rglob("*.py"):
        private = [target for target in imports(path) if target[:2] == ("keras", "src")]
        assert not private or path.is_relative_to(PACKAGE / "reader"), path


def test_public_names_have_docstrings():
    for name in kconvert.__all__:
        thing = getattr(kconvert, name)
        if not callable(thing) and not isinstance(thing, types.ModuleType):
            continue  # data, which has no docstring at run time
        assert thing.__doc__, name
        if isinstance(thing, type):
            for attribute, value in vars(thing).items():
                if callable(value) and not attribute.startswith("_"):
                    assert value.__doc__, f"{name}.{attribute}"
