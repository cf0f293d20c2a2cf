"""The public names of a package, as docs/api.md lists them."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["api_block", "docstring_of", "first_sentence", "signature"]


def api_block(package: str) -> str:
    """Return one line a public name: its arguments with their defaults, and what it is for."""
    lines = []
    public = importlib.import_module(package)
    for name in sorted(public.__all__, key=str.lower):
        if name.startswith("__"):
            continue
        value = getattr(public, name)
        if inspect.ismodule(value) and not callable(value):
            lines.append(f"- `{name}`: {first_sentence(inspect.getdoc(value) or '')}")
            continue
        _, node = _definition(package, name)
        lines.append(f"- `{name}{signature(node)}`: {first_sentence(docstring_of(package, name))}")
    return "\n".join(lines) + "\n"


def docstring_of(package: str, name: str) -> str:
    """Return the docstring of a public name; that of a constant is the string below it."""
    return _docstring(*_definition(package, name))


def signature(node: ast.stmt) -> str:
    """Return the arguments of a function or of a class that writes its constructor out; nothing for others."""
    if isinstance(node, ast.ClassDef):
        constructors = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
        return _arguments(constructors[0].args, leave_out=1) if constructors else ""
    return _arguments(node.args, leave_out=0) if isinstance(node, ast.FunctionDef) else ""


def first_sentence(docstring: str) -> str:
    """Return the first sentence of a docstring on one line, code in single backticks."""
    paragraph = " ".join(docstring.strip().split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.?!]) (?=[A-Z`])", paragraph)[0]
    return sentence.replace("``", "`")


def _arguments(arguments: ast.arguments, *, leave_out: int) -> str:
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + arguments.defaults
    parts = [_argument(arg, default) for arg, default in zip(plain, defaults, strict=True)][leave_out:]
    if arguments.vararg:
        parts.append(f"*{arguments.vararg.arg}")
    elif arguments.kwonlyargs:
        parts.append("*")
    parts += [_argument(arg, one) for arg, one in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    if arguments.kwarg:
        parts.append(f"**{arguments.kwarg.arg}")
    return f"({', '.join(parts)})"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    if default is None:
        return argument.arg
    text = "..." if isinstance(default, ast.Lambda) else ast.unparse(default).replace("'", '"')
    return f"{argument.arg}={text}"


def _definition(package: str, name: str) -> tuple[ast.Module, ast.stmt]:
    """Return the module that defines a name, and the statement that does."""
    value: Any = getattr(importlib.import_module(package), name)
    module = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None) or _origin(package, name)
    home = _tree(module)
    if inspect.ismodule(value):  # a package that is also the function users call
        return _definition(module, f"run_{name}")
    for node in home.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return home, node
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if name in [getattr(target, "id", None) for target in targets]:
            return home, node
    if getattr(value, "__name__", name) != name:
        return _definition(module, value.__name__)  # another name of the same function
    raise ValueError(f"{module} does not define {name}, which {package} lists.")


def _docstring(home: ast.Module, node: ast.stmt) -> str:
    """Return the docstring of a definition; that of a constant is the string below it."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return ast.get_docstring(node) or ""
    below = home.body[home.body.index(node) + 1 :]
    if below and isinstance(below[0], ast.Expr) and isinstance(below[0].value, ast.Constant):
        return str(below[0].value.value)
    return ""


def _origin(package: str, name: str) -> str:
    """Return the module that a package takes a constant from."""
    for node in ast.walk(_tree(package)):
        if isinstance(node, ast.ImportFrom) and node.module and name in [alias.name for alias in node.names]:
            return node.module
    return package


@cache
def _tree(module: str) -> ast.Module:
    file = importlib.import_module(module).__file__
    assert file is not None
    return ast.parse(Path(file).read_text(encoding="utf-8"))
