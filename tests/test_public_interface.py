"""Public functions are annotated, and public classes have an example in their docstring.

The examples themselves run in ``test_docstrings.py``.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "galsim_deep").rglob("*.py"),
                *(ROOT / "training" / "galsim_deep_training").rglob("*.py")])


def public_functions(body, prefix=""):
    """The functions and methods of a file, by name, that do not begin with an underscore."""
    for node in body:
        if isinstance(node, ast.FunctionDef):
            if not node.name.startswith("_") or node.name in ("__init__", "__call__"):
                yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, (ast.If, ast.Try)):
            yield from public_functions(node.body, prefix)


def without_annotation(function):
    """Names of the arguments that have none, and ``return``."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    named += [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    names = [argument.arg for argument in named
             if argument.annotation is None and argument.arg not in ("self", "cls")]
    # A type checker knows what `__init__` returns.
    return names + (["return"] if function.returns is None and function.name != "__init__" else [])


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_functions_are_annotated(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    missing = {name: without_annotation(function)
               for name, function in public_functions(tree.body)}
    assert not {name: names for name, names in missing.items() if names}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_classes_have_an_example(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    exported = next((ast.literal_eval(node.value) for node in tree.body
                     if isinstance(node, ast.Assign)
                     and ast.unparse(node.targets[0]) == "__all__"), [])
    assert not [node.name for node in tree.body
                if isinstance(node, ast.ClassDef) and node.name in exported
                and ">>>" not in (ast.get_docstring(node) or "")]
