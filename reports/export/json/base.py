"""What the models of the outer form have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Out(BaseModel):
    """Base of the models of the outer form."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True, populate_by_name=True)
