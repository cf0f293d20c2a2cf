"""Reads JSON and YAML that somebody else wrote: nesting has a limit, and no key of YAML counts twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node

__all__ = ["DEEPEST", "parse_json", "parse_yaml"]

DEEPEST = 100
"""Levels of lists and mappings in each other; what scgraph writes has fewer than twenty."""


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is no JSON, or nested too deep.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise _too_deep() from None
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [inner for one in level if isinstance(one, dict | list) for inner in _inside(one)]
        if not level:
            return value
    raise _too_deep()


def parse_yaml(text: str) -> Any:
    """Return the value of a YAML text.

    Raises:
        ValueError: it is no YAML, nested too deep, or a key stands twice in a mapping; names the line.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _inside(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _too_deep() -> ValueError:
    return ValueError(f"nested more than {DEEPEST} levels deep")


class _Loader(yaml.SafeLoader):
    """PyYAML recurses once a level, lets a list hold itself and keeps the last of two equal keys."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._open: list[str | None] = []

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent) and event.anchor in self._open:
            raise yaml.MarkedYAMLError(problem=f"*{event.anchor} holds itself", problem_mark=mark)
        if len(self._open) > DEEPEST:
            raise yaml.MarkedYAMLError(problem=str(_too_deep()), problem_mark=mark)
        self._open.append(event.anchor)
        try:
            return super().compose_node(parent, index)
        finally:
            self._open.pop()

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            name = (key.tag, str(key.value))
            if name in lines:
                mark: Any = key.start_mark
                problem = f"the key {key.value!r} stands twice, first in line {lines[name]}"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
            lines[name] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)
