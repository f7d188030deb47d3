"""The file that `nightseal config init` writes: it shows every key, and what it shows can be used."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from scanner.config.form import ConfigForm
from scanner.config.form_estate import OwnedForm
from scanner.config.loading import parse
from scanner.validation import _is_model, _unwrap

COMMENTED = re.compile(r"^(\s*)# ((?:\[|[a-z_]+ *=).*)$", re.MULTILINE)
EXAMPLE = (resources.files("scanner.app") / "config_example.toml").read_text("utf-8")
WHOLE = COMMENTED.sub(r"\1\2", EXAMPLE)
"""The example with nothing commented out."""


def keys(model: type[BaseModel], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        key = (*before, field.alias or name)
        yield key
        inner = _unwrap(field.annotation)
        if _is_model(inner) and inner is not model:
            yield from keys(inner, key)


def shown(value: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, list):
        for item in value:
            yield from shown(item, before)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield (*before, name)
            yield from shown(item, (*before, name))


def test_the_example_shows_every_key_of_the_schema() -> None:
    found = set(shown(tomllib.loads(WHOLE)))
    # Defaults may hold what endpoints and applications hold, and all of these may hold who owns them: shown once.
    repeated = {name for name in OwnedForm.model_fields if any(key[-1] == name for key in found)}

    missing = [
        ".".join(key)
        for key in keys(ConfigForm)
        if key not in found and key[-1] not in repeated and "defaults" not in key[:-1]
    ]

    assert not missing, f"`nightseal config init` does not show {missing}"


def test_the_example_is_a_configuration_with_and_without_what_is_commented_out(tmp_path: Path) -> None:
    (tmp_path / "hosts.csv").write_text("FQDN,Team\n", "utf-8")
    for text in (EXAMPLE, WHOLE):
        config = parse(
            text,
            source="config.toml",
            folder=tmp_path,
            environ={"NIGHTSEAL_NOTIFY_URL": "json://127.0.0.1/", "NIGHTSEAL_PLATFORM_URL": "json://127.0.0.1/"},
            today=date(2026, 11, 1),
        )
        assert "www.example.com" in {item.host for item in config.inventory.endpoints}
    # Seven, and the two files of a zone, whose workers look into them.
    assert len(config.inventory.endpoints) == 9, "the whole example was read"


def test_values_that_are_shown_as_defaults_are_the_defaults() -> None:
    raw = tomllib.loads(WHOLE)
    form = ConfigForm.model_validate(raw)
    examples = {
        ("scan", name)
        for name in (
            "rate",
            "total_rate",
            "vantage",
            "proxy",
            "fetch_from",
            "ct_logs",
            "published_keys",
            "validating_resolver",
            "helo",
            "contact",
            "connect_to",
        )
    } | {("nightseal", "output_mode"), ("daemon", "report_url"), ("daemon", "socket")}

    for section in ("nightseal", "scan", "history", "daemon"):
        plain = type(getattr(form, section))()
        for name in raw[section]:
            if (section, name) not in examples:
                assert getattr(getattr(form, section), name) == getattr(plain, name), f"{section}.{name}"
