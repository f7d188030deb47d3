"""What endpoints and applications inherit, and several roles at one host and port."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.app.cli import run
from scanner.config.loading import Config, parse
from scanner.errors import ConfigError
from scanner.inventory import Console, Endpoint, HttpsLevel, Role
from scanner.ownership import Ownership
from scanner.requirements import requirements_of

HEAD = '[[environment]]\nname = "production"\nkind = "on-premises"\n'
SHOP = '[[environment.application]]\nname = "Shop"\nkind = "traditional-web"\nhost = "shop.example"\n'


def read(text: str) -> Config:
    return parse(text, source="config.toml", folder=Path())


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return str(caught.value)


def endpoint(host: str, **keys: str) -> str:
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return f'[[environment.endpoint]]\nhost = "{host}"\n{lines}'


def only(config: Config) -> Endpoint:
    (found,) = config.inventory.endpoints
    return found


def test_the_inner_setting_wins_and_labels_are_joined() -> None:
    config = read(
        '[defaults]\nowner = "platform"\ncontact = "platform@example.com"\nhttp_port = 8080\nlabels = { tier = "3", site = "a" }\n'
        '[[environment]]\nname = "production"\nkind = "on-premises"\nowner = "operations"\nlabels = { tier = "1" }\n'
        '[environment.defaults]\nport = 8443\nhttps = "none"\n'
        + endpoint("a.example")
        + endpoint("b.example", owner='"payments"', port="443", http_port="0", labels='{ tier = "0", pci = "yes" }')
        + SHOP
        + '[[environment]]\nname = "test"\nkind = "on-premises"\n'
        + endpoint("c.example")
    )
    a, b, shop, c = config.inventory.endpoints

    assert (a.port, a.http_port) == (8443, 8080)
    assert a.ownership == Ownership("operations", None, (("site", "a"), ("tier", "1")))
    assert (b.port, b.http_port) == (443, None)
    assert b.ownership.owner == "payments"
    assert dict(b.ownership.labels) == {"tier": "0", "site": "a", "pci": "yes"}
    assert (shop.port, shop.applications[0].https) == (8443, HttpsLevel.NONE)
    assert shop.applications[0].ownership.owner == "operations"
    assert (c.port, c.http_port) == (443, 8080)
    assert c.ownership == Ownership("platform", "platform@example.com", (("site", "a"), ("tier", "3")))
    assert config.inventory.environments[0].ownership.owner == "operations"
    assert config.inventory.environments[1].ownership.owner == "platform"


def test_wrong_defaults_are_told_once_and_where_they_are() -> None:
    text = "[defaults]\nprot = 1\n" + HEAD + "[environment.defaults]\nport = 99999\n" + endpoint("a.example") * 3

    said = refused(text).splitlines()

    assert said[0].startswith('config.toml:2: defaults.prot: unknown key (did you mean "port"?)')
    assert said[1].startswith("config.toml:7: environment[production].defaults.port: should be less than or equal")
    assert len(said) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[[owner]]\nname = "ops"\n' + HEAD + endpoint("a.example", owner='"opps"'), 'config.toml:8: environment[production].endpoint[a.example:443].owner: there is no [[owner]] "opps" (did you mean "ops"?)'),
        ('[[owner]]\nname = "ops"\nnotify = ["x"]\n' + HEAD, 'config.toml:3: owner[ops].notify: there is no [[notify]] "x"'),
        (HEAD + 'labels = { "ti er" = "1" }\n', "environment[production].labels.ti er"),
        (HEAD + 'owner = "a\\u202Eb"\n', "holds U+202E (RIGHT-TO-LEFT OVERRIDE)"),
    ],
)  # fmt: skip
def test_owners_and_labels_that_are_none(text: str, expected: str) -> None:
    assert expected in refused(text)


def test_consoles_and_applications_at_one_host_and_port_are_each_what_they_are() -> None:
    config = read(
        HEAD
        + endpoint("shop.example", role='"monitoring"', paths='["/ServiceCenter", "/lifetime"]', owner='"operations"')
        + endpoint("shop.example", role='"development"', paths='["/ServiceStudio"]')
        + SHOP
        + 'https = "none"\nowner = "payments"\npaths = [{ path = "/Shop", https = "none" }]\n'
        + SHOP.replace("Shop", "Portal")
    )
    found = only(config)

    assert found.role is Role.APPLICATION
    assert found.consoles == (
        Console(Role.MONITORING, ("/ServiceCenter", "/lifetime")),
        Console(Role.DEVELOPMENT, ("/ServiceStudio",)),
    )
    assert [item.name for item in found.applications] == ["Shop", "Portal"]
    assert found.ownership.owner == "operations"
    levels = {
        (item.application, item.path): (item.level, item.decided_by)
        for item in requirements_of(config.inventory.environments[0], found)
    }
    assert levels["Shop", "/Shop"][0] is HttpsLevel.NONE, "a console beside it demands nothing of it"
    assert levels[None, "/lifetime"] == (
        HttpsLevel.TLS,
        '[[environment.endpoint]] shop.example:443: role = "monitoring" at /lifetime',
    )
    assert levels[None, "/ServiceStudio"][0] is HttpsLevel.TLS


def test_a_console_at_the_root_beside_an_application() -> None:
    config = read(HEAD + endpoint("shop.example", role='"monitoring"') + SHOP + 'https = "none"\n')
    found = only(config)
    roots = [item for item in requirements_of(config.inventory.environments[0], found) if item.path == "/"]

    assert [(item.application, item.level) for item in roots] == [("Shop", HttpsLevel.TLS), (None, HttpsLevel.TLS)]
    assert found.console_places == ((Role.MONITORING, "/"),)


def test_a_console_alone_is_as_it_was() -> None:
    config = read(HEAD + endpoint("a.example", role='"monitoring"'))
    found = only(config)

    assert (found.role, found.http_port) == (Role.MONITORING, 80)
    (requirement,) = requirements_of(config.inventory.environments[0], found)
    assert requirement.decided_by == '[[environment.endpoint]] a.example:443: role = "monitoring"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (endpoint("a.example") * 2, "a.example:443 is listed twice with the role application (leave one out)"),
        (
            endpoint("a.example", role='"monitoring"', paths='["/x"]')
            + endpoint("A.example.", role='"monitoring"', paths='["/y"]'),
            "a.example:443 is listed twice with the role monitoring (list all its paths in one)",
        ),
        (
            endpoint("a.example") + endpoint("a.example", role='"server"'),
            "a.example:443 is a server and something else",
        ),
        (endpoint("shop.example", role='"server"') + SHOP, "application[Shop]: shop.example:443 is a server as well"),
        (
            endpoint("shop.example", role='"monitoring"', http_port="8080") + SHOP,
            "application[Shop].http_port: is 80, and endpoint[shop.example:443].http_port at shop.example:443 says "
            "8080",
        ),
        (endpoint("a.example", paths='["/x"]'), "endpoint[a.example:443].paths: are only for consoles"),
        (endpoint("a.example", role='"monitoring"', paths='["x"]'), "endpoint[a.example:443].paths"),
    ],
)
def test_what_cannot_be_at_one_host_and_port_is_refused(text: str, expected: str) -> None:
    assert expected in refused(HEAD + text)


def test_explain_names_every_application_and_console_of_a_host(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        HEAD
        + endpoint("shop.example", role='"monitoring"', paths='["/ServiceCenter"]', owner='"operations"')
        + SHOP
        + SHOP.replace("Shop", "Portal")
        + 'owner = "payments"\nlabels = { tier = "1" }\n'
    )
    (tmp_path / "config.toml").write_text(text, "utf-8")

    assert run(["config", "explain", "shop.example", "--config", str(tmp_path / "config.toml")]) == 0

    said = capsys.readouterr().out.splitlines()
    assert said[:6] == [
        "production/shop.example:443 (application)",
        "  Shop (traditional-web)",
        "  Portal (traditional-web) owner payments, tier = 1",
        "  monitoring at /ServiceCenter",
        "  owner payments; owner operations; tier = 1",
        f'  {"/ (Shop)":<30} {"tls":<24} [[environment.application]] Shop: https = "tls"',
    ]
    assert any(line.startswith("  /ServiceCenter ") for line in said)


def test_an_owners_contact_is_that_of_what_names_the_owner() -> None:
    config = read(
        '[[owner]]\nname = "ops"\ncontact = "ops@example.com"\n'
        + HEAD
        + 'owner = "ops"\n'
        + endpoint("a.example")
        + endpoint("b.example", contact='"b@example.com"')
    )

    assert [item.ownership.contact for item in config.inventory.endpoints] == ["ops@example.com", "b@example.com"]
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Another owner, whom nobody says how to reach: not by the contact of the environment's.
        (HEAD + 'owner = "ops"\ncontact = "ops@x"\n' + endpoint("a.example", owner='"pay"'), ("pay", None)),
        (HEAD + 'owner = "ops"\ncontact = "ops@x"\n' + endpoint("a.example", owner='"ops"'), ("ops", "ops@x")),
        (HEAD + 'owner = "ops"\ncontact = "ops@x"\n' + endpoint("a.example", contact='"a@x"'), ("ops", "a@x")),
        # One that was written beside no owner is for everybody who has none.
        (HEAD + 'contact = "help@x"\n' + endpoint("a.example", owner='"pay"'), ("pay", "help@x")),
        (
            '[[owner]]\nname = "pay"\ncontact = "pay@x"\n'
            + HEAD
            + 'contact = "help@x"\n'
            + endpoint("a.example", owner='"pay"'),
            ("pay", "pay@x"),
        ),
        # Of the outermost again, past another owner between.
        (
            '[defaults]\nowner = "pay"\ncontact = "pay@x"\n'
            + HEAD
            + 'owner = "ops"\ncontact = "ops@x"\n[environment.defaults]\nowner = "pay"\n'
            + endpoint("a.example"),
            ("pay", "pay@x"),
        ),
    ],
)
def test_a_contact_is_of_the_owner_beside_whom_it_was_written(text: str, expected: tuple[str, str | None]) -> None:
    whose = only(read(text)).whose

    assert (whose.owner, whose.contact) == expected


def test_of_a_host_with_several_owners_each_has_their_own_contact(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        HEAD
        + 'owner = "ops"\ncontact = "ops@x"\n'
        + endpoint("shop.example", role='"monitoring"', paths='["/ServiceCenter"]')
        + endpoint("shop.example", role='"development"', paths='["/ServiceStudio"]', owner='"tools"')
        + SHOP
        + 'owner = "pay"\n'
    )
    found = only(read(text))
    (tmp_path / "config.toml").write_text(text, "utf-8")

    assert found.owners == ("pay", "ops", "tools")
    assert found.whose == Ownership("pay", None, (), ("ops", "tools"), (("ops", "ops@x"),))
    assert found.whose.contacts == ("ops@x",)
    assert [found.contact_of(name) for name in ("pay", "ops", "tools")] == [None, "ops@x", None]
    assert run(["config", "explain", "shop.example", "--config", str(tmp_path / "config.toml")]) == 0
    assert "  owner pay; owner ops, contact ops@x; owner tools\n" in capsys.readouterr().out


def test_an_application_without_an_owner_is_its_endpoints() -> None:
    found = only(read(HEAD + endpoint("shop.example", owner='"ops"', contact='"ops@x"') + SHOP))

    assert (found.owners, found.whose.contact) == (("ops",), "ops@x")


def test_what_has_no_effect_beside_a_stricter_one_is_warned_of_on_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        HEAD
        + SHOP
        + 'https = "none"\npaths = [{ path = "/x", https = "none" }, { path = "/y", https = "none" }]\n'
        + SHOP.replace("Shop", "Portal")
        + 'paths = [{ path = "/x", https = "tls-client-certificate" }]\n'
        + endpoint("shop.example", role='"monitoring"', paths='["/ServiceCenter"]')
    )
    (tmp_path / "config.toml").write_text(text, "utf-8")

    assert run(["config", "check", "--config", str(tmp_path / "config.toml")]) == 0

    said = [line.removeprefix(f"{tmp_path}/") for line in capsys.readouterr().err.splitlines() if "no effect" in line]
    assert said == [
        'config.toml:8: warning: environment[production].application[Shop].https: "none" has no effect at '
        'shop.example:443/ (application Portal: its own setting requires "tls" for the same path, '
        "and the stricter level applies)",
        'config.toml:9: warning: environment[production].application[Shop].paths[/x].https: "none" has no effect at '
        'shop.example:443/x (application Portal: this path requires "tls-client-certificate" for the same path, '
        "and the stricter level applies)",
    ]


@pytest.mark.parametrize(
    "beside",
    [
        SHOP.replace("Shop", "Portal").replace("shop.example", "portal.example"),
        SHOP.replace("Shop", "Portal") + "port = 8443\n",
        SHOP.replace("Shop", "Portal") + 'https = "none"\npaths = [{ path = "/p" }]\n',
        endpoint("shop.example", role='"development"', paths='["/ServiceStudio"]'),
    ],
)
def test_another_host_port_or_path_contradicts_nothing(beside: str) -> None:
    assert read(HEAD + SHOP + 'https = "none"\n' + beside).warnings == ()


def test_what_an_environment_overrides_is_warned_of_once() -> None:
    config = read(HEAD + "force_https_screens = true\n" + SHOP + 'https = "none"\n' + SHOP.replace("Shop", "Portal"))

    (said,) = config.warnings
    assert "force_https_screens wins" in str(said)


def test_the_domain_of_an_environment_is_whose_its_endpoints_would_be() -> None:
    config = read(
        '[[owner]]\nname = "platform"\ncontact = "platform@example.com"\n[[owner]]\nname = "cloud"\n'
        '[defaults]\nowner = "platform"\nlabels = { tier = "3" }\n'
        '[[environment]]\nname = "a"\nkind = "paas"\ndefault_domain = "a.example"\ncustom_domain = "own.example"\n'
        '[[environment]]\nname = "b"\nkind = "paas"\nowner = "cloud"\ndefault_domain = "b.example"\n'
        '[[environment]]\nname = "c"\nkind = "paas"\nowner = "cloud"\ndefault_domain = "c.example"\n'
        '[environment.defaults]\nowner = "platform"\nlabels = { site = "x" }\n'
    )

    said = {item.host: (item.owners, item.whose.contact, item.whose.labels) for item in config.inventory.endpoints}
    platform = (("platform",), "platform@example.com")
    assert said == {
        "own.example": (*platform, (("tier", "3"),)),
        "a.example": (*platform, (("tier", "3"),)),
        "b.example": (("cloud",), None, (("tier", "3"),)),
        "c.example": (*platform, (("site", "x"), ("tier", "3"))),
    }


def test_a_path_that_is_said_twice_is_judged_once() -> None:
    rest = '{ path = "/rest", kind = "rest" }'
    config = read(
        HEAD
        + endpoint("con.example", role='"monitoring"', paths='["/lifetime", "/ServiceCenter", "/lifetime"]')
        + SHOP
        + f'paths = [{{ path = "/a" }}, {{ path = "/a" }}]\nintegrations = [{rest}, {rest}, '
        '{ path = "/rest", kind = "soap" }]\n'
    )

    (environment,) = config.inventory.environments
    con, shop = (
        [(item.path, item.integration) for item in requirements_of(environment, each)] for each in environment.endpoints
    )
    assert con == [("/", None), ("/lifetime", None), ("/ServiceCenter", None)]
    assert shop == [("/", None), ("/a", None), ("/rest", "rest"), ("/rest", "soap")]
