"""What endpoints and applications inherit: `[defaults]` for all, `[environment.defaults]` and the environment for one.

It is filled in before the form is checked, so that whatever holds for a value holds for an inherited one. Nothing that
is set is overridden; labels are joined, the inner ones winning.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from scanner.config.form_estate import ApplicationForm, CertificateFilesForm, DefaultsForm, EndpointForm
from scanner.errors import Problem
from scanner.validation import problems_of

_OWNED: Final = ("owner", "contact", "labels")
_FILLED: Final = (
    ("endpoint", EndpointForm),
    ("application", ApplicationForm),
    ("certificate", CertificateFilesForm),
)


def inherited(raw: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """The configuration with what its endpoints and applications inherit; wrong defaults are told where they are."""
    general = _checked(raw.get("defaults"), "defaults", ("defaults",), problems)
    environments = raw.get("environment")
    if not isinstance(environments, list):
        return raw
    owners = raw.get("owner")
    contacts = {
        item["name"]: item["contact"]
        for item in (owners if isinstance(owners, list) else ())
        if isinstance(item, dict) and isinstance(item.get("name"), str) and "contact" in item
    }
    filled = [_environment(item, general, index, problems, contacts) for index, item in enumerate(environments)]
    return {**raw, "environment": filled}


def _environment(
    item: Any, general: Mapping[str, Any], index: int, problems: list[Problem], contacts: Mapping[str, Any]
) -> Any:
    if not isinstance(item, dict):
        return item
    name = item.get("name") if isinstance(item.get("name"), str) else index + 1
    way = ("environment", index, "defaults")
    own = _checked(item.get("defaults"), f"environment[{name}].defaults", way, problems)
    # From the inside: what it says for its endpoints, what it says of itself, what is said for all.
    result = _joined(item, {key: value for key, value in general.items() if key in _OWNED}, contacts)
    of_itself: dict[str, Any] = {key: result[key] for key in _OWNED if key in result}
    defaults = _joined(_joined(own, of_itself, contacts), general, contacts)
    # What is found in no list inherits as well: an environment's domains, and rows that are compared with it.
    result["defaults"] = _reached(defaults, contacts)
    for key, form in _FILLED:
        elements = item.get(key)
        if isinstance(elements, list):
            fitting = {name: value for name, value in defaults.items() if name in form.model_fields}
            result[key] = [_filled(element, fitting, contacts) for element in elements]
    return _reached(result, contacts)


def _filled(element: Any, defaults: Mapping[str, Any], contacts: Mapping[str, Any]) -> Any:
    return _reached(_joined(element, defaults, contacts), contacts) if isinstance(element, dict) else element


def _reached(item: dict[str, Any], contacts: Mapping[str, Any]) -> dict[str, Any]:
    """With its owner's contact, where it has none."""
    owner = item.get("owner")
    if "contact" not in item and isinstance(owner, str) and owner in contacts:
        return {**item, "contact": contacts[owner]}
    return item


def _joined(inner: Mapping[str, Any], outer: Mapping[str, Any], contacts: Mapping[str, Any]) -> dict[str, Any]:
    """What is set inside, and from outside what is not.

    A contact is that of the owner beside whom it was written, and nobody else's; one without an owner is that of all
    who have none of their own.
    """
    result = {**outer, **inner}
    owner = inner.get("owner")
    another = "owner" in inner and owner != outer.get("owner")
    if another and "contact" not in inner and ("owner" in outer or (isinstance(owner, str) and owner in contacts)):
        result.pop("contact", None)
    labels = [value["labels"] for value in (outer, inner) if isinstance(value.get("labels"), dict)]
    if len(labels) > 1:
        result["labels"] = {**labels[0], **labels[1]}
    return result


def _checked(value: Any, key: str, way: tuple[str | int, ...], problems: list[Problem]) -> Mapping[str, Any]:
    """Defaults that can be used; otherwise none, and what is wrong with them."""
    if value is None:
        return {}
    try:
        DefaultsForm.model_validate(value)
    except ValidationError as error:
        problems.extend(
            dataclasses.replace(
                problem, key=f"{key}.{problem.key}" if problem.key else key, location=(*way, *problem.location)
            )
            for problem in problems_of(error, DefaultsForm)
        )
        return {}
    return dict(value)
