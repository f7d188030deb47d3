"""Models whose fields are described by the docstring beneath each, read when somebody asks and not at each start.

pydantic can do the same, but does it when a class is made: for each model it parses the source of its module, which
took a tenth of the time that a scan of one host takes.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema


class Described(BaseModel):
    """A model that says in its JSON Schema what the docstrings beneath its fields say."""

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def described(cls, field: str) -> str:
        """What the docstring beneath a field says; empty where there is none."""
        ours = (model for model in cls.__mro__ if issubclass(model, Described) and model is not Described)
        found = (_docstrings(model.__module__).get((model.__name__, field)) for model in ours)
        return next(filter(None, found), "")

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Put the descriptions where JSON Schema has them."""
        made = handler(core_schema)
        properties: dict[str, Any] = handler.resolve_ref_schema(made).get("properties", {})
        for name, field in cls.model_fields.items():
            if text := cls.described(name):
                properties[field.alias or name].setdefault("description", text)
        return made


@functools.cache
def _docstrings(module: str) -> dict[tuple[str, str], str]:
    """The docstrings of a module's fields, by the names of their class and of their own."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return {(each.name, field): text for each in classes for field, text in _of(each)}


def _of(model: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, after in pairwise(model.body):
        match field, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)
