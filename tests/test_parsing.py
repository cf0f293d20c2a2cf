"""JSON and YAML of somebody else: whatever its nesting, one `ValueError` that says where."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from scgraph.config_files import config_names, load_yaml
from scgraph.parsing import DEEPEST, parse_json, parse_yaml


@pytest.mark.parametrize("depth", [DEEPEST + 1, 900, 5_000, 50_000])
@pytest.mark.parametrize("start", ["[", '{"a": ', '[{"a": '])
def test_nesting_has_a_limit(depth: int, start: str) -> None:
    text = start * depth + "1" + start.replace('"a": ', "").translate({91: 93, 123: 125})[::-1] * depth
    for parse in (parse_json, parse_yaml):
        with pytest.raises(ValueError, match=f"nested more than {DEEPEST} levels deep"):
            parse(text)


def test_what_is_not_too_deep_is_read() -> None:
    text = "[" * DEEPEST + "]" * DEEPEST
    assert parse_json(text) == parse_yaml(text) != []
    assert parse_json(b'{"a": [1, "b"]}') == parse_yaml("a: [1, b]") == {"a": [1, "b"]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: 2\na: 3\n", "the key 'a' stands twice, first in line 1.*line 3"),
        ("train:\n  epochs: 1\n  epochs: 2\n", "the key 'epochs' stands twice, first in line 2.*line 3"),
        ("- {x: 1, x: 1}\n", "the key 'x' stands twice"),
        ("a: &here [1, *here]\n", r"\*here holds itself.*line 1"),
        ("a: [1\n", "line 2"),
    ],
)
def test_what_yaml_does_not_mean_is_refused_with_its_line(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as error:
        parse_yaml(text)
    assert "\n" not in str(error.value)


def test_one_key_in_two_mappings_and_a_merged_one_are_no_duplicates() -> None:
    assert parse_yaml("a: {x: 1}\nb: {x: 2}") == {"a": {"x": 1}, "b": {"x": 2}}
    assert parse_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}")["b"] == {"x": 3, "y": 2}


@pytest.mark.parametrize("name", config_names())
def test_shipped_settings_are_read_as_yaml_reads_them(name: str) -> None:
    path = Path(__file__).resolve().parents[1] / "configs" / f"{name}.yaml"
    assert load_yaml(name) == yaml.safe_load(path.read_text())
