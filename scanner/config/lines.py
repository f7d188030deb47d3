"""On which line of a TOML file each key and each table stands, read from the syntax tree of tree-sitter."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import tree_sitter_toml
from tree_sitter import Language, Parser

if TYPE_CHECKING:
    from tree_sitter import Node

    from scanner.config.files import Location

_KEYS = frozenset({"bare_key", "quoted_key", "dotted_key"})


def lines_of(text: str) -> dict[Location, int]:
    """The line, counted from 1, of each key, table, and element of a list; the first where one is repeated."""
    found: dict[Location, int] = {}
    counts: dict[Location, int] = {}
    tree = Parser(Language(tree_sitter_toml.language())).parse(text.encode())
    for node in tree.root_node.children:
        if node.type == "pair":
            _pair(node, (), found)
        elif node.type in {"table", "table_array_element"}:
            names = next((tuple(_names(child)) for child in node.children if child.type in _KEYS), ())
            here = _located(names, counts, opens=node.type == "table_array_element")
            # A list of tables, and a table that only others name, are where they are begun.
            for end in range(len(here), 0, -1):
                found.setdefault(here[:end], node.start_point[0] + 1)
            for child in node.children:
                if child.type == "pair":
                    _pair(child, here, found)
    return found


def _located(names: tuple[str, ...], counts: dict[Location, int], *, opens: bool) -> Location:
    """Where a table's header leads, through the last elements of the lists on its way; one of a list opens another."""
    here: Location = ()
    for position, name in enumerate(names):
        here = (*here, name)
        if opens and position == len(names) - 1:
            counts[here] = counts.get(here, 0) + 1
        if here in counts:
            here = (*here, counts[here] - 1)
    return here


def _pair(node: Node, table: Location, found: dict[Location, int]) -> None:
    key, *_, value = [child for child in node.children if child.type != "comment"]
    here = (*table, *_names(key))
    found.setdefault(here, node.start_point[0] + 1)
    _value(value, here, found)


def _value(node: Node, here: Location, found: dict[Location, int]) -> None:
    if node.type == "array":
        elements = [child for child in node.children if child.is_named and child.type != "comment"]
        for index, element in enumerate(elements):
            found.setdefault((*here, index), element.start_point[0] + 1)
            _value(element, (*here, index), found)
    elif node.type == "inline_table":
        for child in node.children:
            if child.type == "pair":
                _pair(child, here, found)


def _names(node: Node) -> Iterator[str]:
    """The names of a key, of which a dotted one has several."""
    if node.type == "dotted_key":
        for child in node.children:
            yield from _names(child)
    elif node.type in _KEYS:
        text = (node.text or b"").decode()
        # A quoted key may hold escapes.
        yield next(iter(tomllib.loads(f"{text} = 0"))) if node.type == "quoted_key" else text
