"""docs/outsystems.md: its estate is a configuration, and what it says of each concept is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scanner.config.loading import Config, parse
from scanner.inventory import Endpoint
from scanner.requirements import PlainAllowed, requirements_of
from scanner.rules import all_rules
from scanner.verdict import Status

DOC = (Path(__file__).parents[2] / "docs" / "outsystems.md").read_text("utf-8")
ESTATE = re.search(r"```toml\n(.*?)```", DOC, re.DOTALL)


@pytest.fixture(scope="module")
def config() -> Config:
    assert ESTATE is not None
    return parse(ESTATE[1], source="outsystems.md", folder=Path())


def endpoint(config: Config, environment: str, host: str) -> Endpoint:
    (found,) = (item for item in config.inventory.environment(environment).endpoints if item.host == host)
    return found


def test_the_estate_is_a_configuration_without_warnings(config: Config) -> None:
    assert config.warnings == ()
    assert {item.id for item in config.inventory.endpoints if not item.is_file} == {
        "production/apps.example.com:443",
        "production/example.outsystemsenterprise.com:443",
        "lifetime/example-lt.outsystemsenterprise.com:443",
        "plant/os.plant.example:443",
    }


def test_its_places_demand_what_the_page_says(config: Config) -> None:
    demanded = {
        (item.id, requirement.path): (requirement.level.value, requirement.plain)
        for environment in config.inventory.environments
        for item in environment.endpoints
        for requirement in requirements_of(environment, item)
    }
    plant = "plant/os.plant.example:443"

    assert demanded[plant, "/"] == ("none", PlainAllowed.ANYTHING)
    assert demanded[plant, "/Warehouse/Login"] == ("tls", PlainAllowed.REDIRECT_OR_REFUSAL)
    assert demanded[plant, "/Warehouse/Partners"][0] == "tls-client-certificate"
    assert demanded[plant, "/Warehouse/Orders.asmx"] == ("tls", PlainAllowed.REFUSAL)
    for console in ("/ServiceCenter", "/ServiceStudio"):
        assert demanded[plant, console] == ("tls", PlainAllowed.REDIRECT_OR_REFUSAL)
    assert demanded["production/apps.example.com:443", "/ShopMobile/rest/v1"] == ("tls", PlainAllowed.REFUSAL)
    assert ("lifetime/example-lt.outsystemsenterprise.com:443", "/lifetime") in demanded
    owners = {app.ownership.owner for app in endpoint(config, "production", "apps.example.com").applications}
    assert owners == {"retail-team"}


def test_each_concept_names_rules_that_exist_and_reasons_for_which_they_fail() -> None:
    rules = all_rules()
    rows = [line.strip("| ").split(" | ") for line in DOC.splitlines() if re.match(r"\| (\*\*|[a-zA-Z])", line)][1:]
    judged = 0
    for row in rows:
        named = [word for word in re.findall(r"`([a-z0-9.-]+)`", row[2]) if "." in word]
        assert set(named) <= set(rules), row[0]
        failing = {slug for name in named for slug, why in rules[name].reasons.items() if why.status is Status.FAIL}
        said = set(re.findall(r"`([a-z-]+)`", row[3])) if len(row) > 3 else set()
        assert said <= failing, f"{row[0]}: {said - failing}"
        judged += bool(said)
    assert judged >= 10


def test_the_warning_that_it_quotes_is_given() -> None:
    text = (
        '[[environment]]\nname = "e"\nkind = "paas"\nhsts = true\n[[environment.application]]\nname = "A"\n'
        'host = "a.example"\nkind = "traditional-web"\nhttps = "none"\n'
    )

    (warning,) = parse(text, source="c.toml", folder=Path()).warnings
    assert '"none" has no effect' in str(warning)
