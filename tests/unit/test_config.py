"""config.toml: what is refused, with which words, and what the rest becomes."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
import zoneinfo
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from scanner.config.form import ConfigForm, ScheduleForm
from scanner.config.loading import Config, load, parse
from scanner.config.values import parse_duration
from scanner.errors import ConfigError
from scanner.formats import FORMATS
from scanner.inventory import ApplicationKind, DomainKey, EnvironmentKind, HttpsLevel, Role, StartTls

REPOSITORY = Path(__file__).parents[2]
CONTRACT = """
[nightseal]
history = "h"
[scan]
deadline = "90s"
timeout = "500ms"
[[environment]]
name = "production"
kind = "paas"
default_domain = "outsystemsenterprise.com"
custom_domain = "apps.example.com"
policy = "nist-sp800-52r2"
hsts = true
  [[environment.endpoint]]
  host = "monitor.example.com"
  port = 443
  role = "monitoring"
  [[environment.endpoint]]
  host = "mail.example.com"
  port = 25
  role = "server"
  starttls = "smtp"
  [[environment.application]]
  name = "Shop"
  kind = "reactive-web"
  host = "Shop.Example.COM."
  https = "tls"
  client_certificate = { cert = "client.pem", key = "client.key" }
  paths = [ { path = "/Shop/Checkout", https = "tls" } ]
  integrations = [ { path = "/Shop/Orders.asmx", kind = "soap", https = "tls" } ]
  [[environment.application]]
  name = "Portal"
  kind = "traditional-web"
  host = "shop.example.com"
[[schedule]]
name = "nightly"
cron = "0 2 * * *"
timezone = "Europe/Lisbon"
environments = ["*"]
notify = ["security"]
[[notify]]
name = "security"
url = "${NIGHTSEAL_NOTIFY_URL}"
[[waiver]]
rule = "proto.no-tls1.1"
scope = "development/legacy.example.com:443"
reason = "Vendor update planned"
owner = "platform-team"
expires = 2027-01-31
"""


def read(text: str, **environ: str) -> Config:
    return parse(text, source="config.toml", folder=Path("/etc/nightseal"), environ=environ)


def refused(text: str, **environ: str) -> list[str]:
    """What is said, without the lines, which have tests of their own."""
    with pytest.raises(ConfigError) as caught:
        read(text, **environ)
    return [re.sub(r"^config\.toml:\d+: ", "config.toml: ", line) for line in str(caught.value).splitlines()]


def environment(body: str = "", kind: str = "on-premises", head: str = "") -> str:
    return f'[[environment]]\nname = "e"\nkind = "{kind}"\n{head}\n{body}'


def application(body: str, kind: str = "traditional-web") -> str:
    return f'[[environment.application]]\nname = "A"\nkind = "{kind}"\nhost = "a.example"\n{body}'


def test_what_is_wrong_is_told_in_the_words_of_the_file_and_not_of_python(tmp_path: Path) -> None:
    text = """
[nightseal]
policy = 7
[scan]
concurrency = "many"
addresses = "some"
trust_store = ["a"]
intrusive = "perhaps"
rate = "fast"
[[environment]]
name = "e"
kind = "paass"
[[environment.endpoint]]
host = "a.example"
labels = 3
[[schedule]]
name = "nightly"
cron = "0 2 * * *"
reports = "html"
[[notify]]
name = "ops"
url = "json://a.example"
attach = "sometimes"
[[waiver]]
rule = "cert.key"
scope = "e"
reason = "r"
owner = "o"
expires = "soon"
"""
    (tmp_path / "config.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigError) as refused:
        load(tmp_path / "config.toml")
    said = {problem.key: problem.message for problem in refused.value.problems}

    assert said == {
        "nightseal.policy": "should be text, not 7",
        "scan.concurrency": 'should be a whole number, not "many"',
        "scan.addresses": 'should be "all", "first", "ipv4" or "ipv6", not "some"',
        "scan.trust_store": "should be text, not a list",
        "scan.intrusive": 'should be true or false, not "perhaps"',
        "scan.rate": 'should be a number, not "fast"',
        "environment[e].kind": 'should be "paas" or "on-premises", not "paass"',
        "environment[e].endpoint[a.example:443].labels": "should be a table, not 3",
        "schedule[nightly].reports": 'should be a list, not "html"',
        "notify[ops].attach": 'should be "auto", "always" or "never", not "sometimes"',
        "waiver[1].expires": 'should be a date, not "soon"',
    }


def test_what_the_contract_shows_is_read() -> None:
    config = read(CONTRACT, NIGHTSEAL_NOTIFY_URL="https://notify.example/secret")

    (production,) = config.inventory.environments
    assert production.kind is EnvironmentKind.PAAS
    assert (production.default_domain, production.custom_domain) == ("outsystemsenterprise.com", "apps.example.com")
    assert production.policy == "nist-sp800-52r2"
    monitor, mail, shop, client, custom, default = production.endpoints
    assert (client.host, client.is_client_file) == ("client:client.pem", True)
    assert (custom.address, custom.implied_by) == ("apps.example.com:443", DomainKey.CUSTOM)
    assert (default.address, default.implied_by) == ("outsystemsenterprise.com:443", DomainKey.DEFAULT)
    assert (monitor.role, monitor.http_port) == (Role.MONITORING, 80)
    assert (mail.role, mail.starttls, mail.http_port) == (Role.SERVER, StartTls.SMTP, None)
    assert shop.address == "shop.example.com:443"
    assert [item.name for item in shop.applications] == ["Shop", "Portal"], "one host, scanned once, judged for both"
    assert shop.applications[0].kind is ApplicationKind.REACTIVE_WEB
    assert shop.applications[0].client_certificate is not None
    assert shop.applications[0].client_certificate.cert == Path("/etc/nightseal/client.pem")
    assert shop.applications[0].integrations[0].https is HttpsLevel.TLS
    assert config.scan.deadline == timedelta(seconds=90)
    assert config.scan.timeout == timedelta(seconds=0.5)
    assert config.receivers[0].url == "https://notify.example/secret"
    assert config.waivers[0].expires == date(2027, 1, 31)
    assert config.resolve("history") == "/etc/nightseal/history"
    assert config.resolve("s3://bucket/history") == "s3://bucket/history"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[nightsael]\n", 'config.toml: nightsael: unknown key (did you mean "nightseal"?)'),
        ("[scan]\nconcurency = 3\n", 'config.toml: scan.concurency: unknown key (did you mean "concurrency"?)'),
        (
            environment('[[environment.endpoint]]\nhst = "a"\nhost = "a.example"'),
            'config.toml: environment[e].endpoint[a.example:443].hst: unknown key (did you mean "host"?)',
        ),
        ("[scan]\nfoo = 1\n", "config.toml: scan.foo: unknown key (known here: addresses, concurrency,"),
        ("[scan]\ndeadline = '60x'\n", "config.toml: scan.deadline: should be a duration such as"),
        ("[scan]\nconcurrency = 0\n", "config.toml: scan.concurrency: should be greater than or equal to 1, not 0"),
        (environment(kind="paass"), 'config.toml: environment[e].kind: should be "paas" or "on-premises", not "paass"'),
        (
            environment('[[environment.endpoint]]\nhost = "a.example"\nport = 65536'),
            "config.toml: environment[e].endpoint[a.example:65536].port: should be less than or equal to 65535, not "
            "65536",
        ),
        (
            environment('[[environment.endpoint]]\nhost = "https://a.example/x"'),
            "config.toml: environment[e].endpoint[https://a.example/x:443].host: should be a host name",
        ),
        (
            environment('[[environment.endpoint]]\nhost = "a.example"\n[[environment.endpoint]]\nhost = "A.EXAMPLE."'),
            "config.toml: environment[e].endpoint[A.EXAMPLE.:443]: a.example:443 is listed twice with the role "
            "application",
        ),
        (
            environment('[[environment.endpoint]]\nhost = "a.example"\nstarttls = "smtp"'),
            "config.toml: environment[e].endpoint[a.example:443].starttls: is only for servers",
        ),
        (
            environment(head='custom_domain = "a.example"'),
            'config.toml: environment[e].custom_domain: is for kind "paas"',
        ),
        (
            environment(application('https = "tls-client-certificate"'), kind="paas"),
            'config.toml: environment[e].application[A].https: "tls-client-certificate" is not available on "paas"',
        ),
        (
            environment(
                application('integrations = [{ path = "/r", kind = "rest", https = "tls-client-certificate" }]')
            ),
            'config.toml: environment[e].application[A].integrations[/r].https: "tls-client-certificate" is not available',
        ),
        (
            environment(application("") + application("")),
            'config.toml: environment[e].application: the name "A" is given',
        ),
        (
            '[[schedule]]\nname = "n"\ncron = "0 2 * * *"\ntimezone = "Europe/Lisbonn"',
            'config.toml: schedule[n].timezone: there is no time zone "Europe/Lisbonn" (did you mean "Europe/Lisbon"?)',
        ),
        (
            environment() + '\n[[schedule]]\nname = "n"\ncron = "0 2 * * *"\nenvironments = ["ee"]',
            'config.toml: schedule[n].environments: there is no environment "ee" (did you mean "e"?)',
        ),
        (
            '[[notify]]\nname = "n"\nurl = "${NOT_SET}"',
            "config.toml: notify[n].url: the environment variable NOT_SET is not set (in a shell: read -rs NOT_SET && "
            "export",
        ),
        ("[scan.connect_to]\n'a.example' = ['127.0.0.1:1']", 'config.toml: scan.connect_to."a.example": should be'),
        (
            "[scan.connect_to]\n'a.example:443' = ['b.example:1']",
            'config.toml: scan.connect_to."a.example:443": should',
        ),
        ("[scan\n", "config.toml: not valid TOML: "),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_what_mends_it(text: str, expected: str) -> None:
    problems = refused(text)

    assert any(problem.startswith(expected) for problem in problems), problems


def test_every_problem_is_told_at_once() -> None:
    problems = refused(environment(application("https = 'tsl'\nprot = 1")) + "\n[scan]\ntimeout = 0")

    assert len(problems) == 3


def implied(head: str, *hosts: str, kind: str = "paas", more: str = "") -> list[tuple[str, str | None]]:
    endpoints = "".join(f'[[environment.endpoint]]\nhost = "{host}"\n{more}\n' for host in hosts)
    config = read(environment(endpoints, kind=kind, head=head))
    (only,) = config.inventory.environments
    assert config.warnings == ()
    return [(endpoint.address, endpoint.implied_by) for endpoint in only.endpoints if endpoint.implied_by]


BOTH = 'default_domain = "platform.example"\ncustom_domain = "Shop.example."'


def test_a_platforms_host_names_become_endpoints_where_no_configured_host_stands_for_them() -> None:
    default, custom = ("platform.example:443", DomainKey.DEFAULT), ("shop.example:443", DomainKey.CUSTOM)

    assert implied(BOTH) == [custom, default]
    # Named itself; its end alone is the same; a host under it.
    assert implied(BOTH, "shop.example", "notplatform.example") == [default]
    assert implied(BOTH, "shop.example", "tenant.platform.example") == []
    assert implied('default_domain = "platform.example"') == [default]
    assert implied("", "a.example") == []
    # The same name twice is one host; a name without a dot is one too.
    assert implied('default_domain = "one.example"\ncustom_domain = "one.example"') == [
        ("one.example:443", DomainKey.CUSTOM)
    ]
    assert implied('custom_domain = "intranet"') == [("intranet:443", DomainKey.CUSTOM)]


def test_a_mail_server_does_not_stand_for_a_platforms_domain() -> None:
    server = 'role = "server"\nport = 25\nstarttls = "smtp"'

    assert implied('custom_domain = "shop.example"', "mail.shop.example", more=server) == [
        ("shop.example:443", DomainKey.CUSTOM)
    ]
    # Where the place is taken, what is configured there counts.
    assert implied('custom_domain = "shop.example"', "shop.example", more='role = "server"') == []


def test_an_implied_endpoint_is_asked_at_the_ports_that_others_are_asked_at() -> None:
    (endpoint,) = read(environment(kind="paas", head='custom_domain = "shop.example"')).inventory.endpoints

    assert (endpoint.role, endpoint.port, endpoint.http_port) == (Role.APPLICATION, 443, 80)
    assert endpoint.applications == ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("*.shop.example", "write the domain itself: 'shop.example'"),
        ("192.0.2.1", "should be a host name, not the address '192.0.2.1'"),
        ("[2001:db8::1]", "should be a host name"),
        ("https://shop.example/", "write only the host: 'shop.example'"),
        ("shop.example:8443", "write only the host: 'shop.example', and 8443 as its"),
        ("https://u@shop.example:8443/x", "write only the host: 'shop.example', and 8443"),
        ("10.0.0.0/24", "is a network, not a host: '10.0.0.0/24' (an [[environment.inventory]] takes networks"),
        ("10.0.0.0/33", "the mask after the slash is a number from 0 to 32"),
        ("", "is not a host name"),
    ],
)
def test_what_is_no_host_name_is_no_domain_of_a_platform(value: str, expected: str) -> None:
    problems = refused(environment(kind="paas", head=f'custom_domain = "{value}"'))

    assert len(problems) == 1
    assert expected in problems[0]


def test_settings_that_say_less_than_holds_are_warned_of() -> None:
    paths = 'https = "none"\npaths = [{ path = "/p", https = "none" }]'
    always = read(environment(application(paths, kind="pwa")))
    forced = read(environment(application(paths), head="force_https_screens = true"))

    assert [problem.key.rpartition("].")[2] for problem in always.warnings] == ["https", "https"]
    assert len(forced.warnings) == 2
    assert "force_https_screens wins" in str(forced.warnings[0])


def test_a_missing_file_and_one_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no such file .*nightseal config init"):
        load(tmp_path / "config.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(binary)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)


def test_hosts_are_brought_into_one_form() -> None:
    config = read(
        environment(
            "".join(
                f'[[environment.endpoint]]\nhost = "{host}"\n'
                for host in ("bücher.example", "[2001:DB8:0::1]", "192.0.2.1", "UPPER.example.")
            )
        )
    )

    hosts = [endpoint.host for endpoint in config.inventory.endpoints]
    assert hosts == ["xn--bcher-kva.example", "2001:db8::1", "192.0.2.1", "upper.example"]
    assert config.inventory.endpoints[1].address == "[2001:db8::1]:443"


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("60s", 60), ("1.5m", 90), ("2h", 7200), ("400d", 34_560_000), (7, 7)]
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "s", "10", "10 parsecs", "-5s", True, None, []])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="should be a duration"):
        parse_duration(text)


@pytest.mark.parametrize("path", ["config.toml", "scanner/app/config_example.toml"])
def test_shipped_configurations_are_valid_and_match_the_schema(path: str) -> None:
    file = REPOSITORY / path
    config = load(file, environ={})
    raw = tomllib.loads(file.read_text("utf-8"))
    for waiver in raw.get("waiver", []):
        waiver["expires"] = waiver["expires"].isoformat()

    assert config.inventory.endpoints
    jsonschema.validate(raw, ConfigForm.model_json_schema())


def test_every_key_is_explained() -> None:
    schema = ConfigForm.model_json_schema()
    forms = {name: form for name, form in schema["$defs"].items() if "properties" in form}

    bare = [
        f"{name}.{key}"
        for name, form in forms.items()
        for key, value in form["properties"].items()
        if "\n" in value.get("description", "\n")  # one line, which no break of the source's line is part of
    ]
    assert not bare


_WAIVER = '[[waiver]]\nrule = "proto.no-tls1.1"\nscope = "a/b.example/pay/*"\nreason = "r"\nowner = "o"\nexpires = {}\n'


def on(day: date, text: str) -> Config:
    return parse(text, source="config.toml", folder=Path(), environ={}, today=day)


def test_a_waiver_may_say_how_bad_and_where() -> None:
    (waiver,) = on(date(2026, 1, 1), _WAIVER.format("2026-12-31") + 'until_worse = "tls1.1"\n').waivers

    assert waiver.until_worse == "tls1.1"
    assert waiver.covers("proto.no-tls1.1", "a", "b.example", 443, "/pay/now")
    assert not waiver.covers("proto.no-tls1.1", "a", "b.example", 443, "/shop")


def test_nothing_is_waived_for_longer_than_400_days() -> None:
    day = date(2026, 1, 1)
    assert on(day, _WAIVER.format("2027-02-05")).waivers

    with pytest.raises(ConfigError) as caught:
        on(day, _WAIVER.format("2027-02-06"))
    assert str(caught.value) == (
        "config.toml:6: waiver[1].expires: is 401 days away, and 400 are allowed "
        "(2027-02-05 is the latest date that is accepted; [nightseal] waiver_days allows more)"
    )

    assert on(day, "[nightseal]\nwaiver_days = 401\n" + _WAIVER.format("2027-02-06")).waivers


@pytest.mark.parametrize(
    "scope",
    [
        "e/Legacy.EXAMPLE.com",
        "e/legacy.example.com.",
        "e/legacy.example.com.:443",
        "e/LEGACY.*.com:443",
        "e/BÜCHER.example",
        "e/b\u00fccher\uff0eexample.:443",
        "e/*.BÜCHER.example",
        "e/[2001:DB8:0::1]:443",
        "e/2001:db8:0:0::1",
        "e/[2001:DB8::1]",
        "e/bücher.example/pay/*",
    ],
)
def test_scopes_are_spelled_as_hosts_are(scope: str) -> None:
    hosts = ("legacy.example.com", "bücher.example", "a.bücher.example", "2001:db8::1")
    config = read(
        environment("".join(f'[[environment.endpoint]]\nhost = "{host}"\n' for host in hosts))
        + _WAIVER.format(date.today() + timedelta(days=9)).replace("a/b.example/pay/*", scope)  # noqa: DTZ011  # any day
    )
    (waiver,) = config.waivers
    covered = [
        endpoint.host
        for endpoint in config.inventory.endpoints
        if waiver.covers("proto.no-tls1.1", "e", endpoint.host, endpoint.port, "/pay/now")
    ]

    assert waiver.scope == scope, "it is shown as it was written"
    assert len(covered) == 1


def test_a_scope_whose_host_is_none_is_refused() -> None:
    text = _WAIVER.format(date.today() + timedelta(days=9)).replace("b.example", "\u200d.example")  # noqa: DTZ011  # the same

    assert 'waiver[1].scope: "a/\\u200d.example/pay/*" is not a host name' in refused(text)[0]


@pytest.mark.parametrize("changed", [str, lambda text: f"\ufeff{text}", lambda text: text.replace("\n", "\r\n")])
def test_an_editor_that_marks_or_ends_lines_changes_nothing(changed: Callable[[str], str], tmp_path: Path) -> None:
    text = environment('[[environment.endpoint]]\nhost = "a.example"')
    (tmp_path / "config.toml").write_bytes(changed(text).encode())

    config = load(tmp_path / "config.toml")

    assert config.digest == read(text).digest == hashlib.sha256(text.encode()).hexdigest()
    assert config.text == text
    # What a run of the service is begun with is the same configuration.
    assert parse(config.text, source="x", folder=tmp_path).digest == config.digest


def test_a_file_in_utf_16_is_told_what_it_should_be(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(environment().encode("utf-16"))

    with pytest.raises(ConfigError, match=r"it is not UTF-8 \(save it as UTF-8"):
        load(tmp_path / "config.toml")


def test_where_to_connect_is_spelled_as_hosts_are() -> None:
    config = read("[scan.connect_to]\n'BÜCHER.example.:443' = ['127.0.0.1:1']\n'[2001:DB8:0::1]:443' = ['127.0.0.1:2']")

    assert config.scan.connect_to == {
        "xn--bcher-kva.example:443": ["127.0.0.1:1"],
        "[2001:db8::1]:443": ["127.0.0.1:2"],
    }
    assert "should be a host name" in refused("[scan.connect_to]\n'https://a.example:443' = ['127.0.0.1:1']")[0]


def test_a_schedule_takes_every_format_and_no_other() -> None:
    """One table: what `--format` takes, the configuration takes, and its schema names."""
    schedule = {"name": "s", "cron": "0 2 * * *"}

    assert ScheduleForm(**schedule, reports=list(FORMATS)).reports == list(FORMATS)
    with pytest.raises(ValidationError, match=r'"htm" is not a format \(did you mean "html"\?\)'):
        ScheduleForm(**schedule, reports=["htm"])
    assert ConfigForm.model_json_schema()["$defs"]["ScheduleForm"]["properties"]["reports"]["items"]["enum"] == [
        *FORMATS
    ]


def test_what_urls_may_lead_to_is_hosts_and_networks():
    entries = ["PKI.intra.example.", "10.1.0.0/16", "fd00::/8", "192.0.2.7"]
    configured = parse(f"[scan]\nfetch_from = {entries}", source="c", folder=Path())
    assert configured.scan.fetch_from == ["pki.intra.example", "10.1.0.0/16", "fd00::/8", "192.0.2.7"]


@pytest.mark.parametrize("entry", ["10.1.2.3/16", "http://pki.example/", "pki.example:80", "10.1.0.0/33", ""])
def test_what_is_neither_host_nor_network_is_refused(entry):
    with pytest.raises(ConfigError, match="fetch_from"):
        parse(f'[scan]\nfetch_from = ["{entry}"]', source="c", folder=Path())


@pytest.mark.parametrize(
    "name",
    ["", "Europe", "../UTC", "Europe//Lisbon", "Europe/Lisbon/x", "posix/UTC", "right/UTC", "posixrules", "a\0b"],
)
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    assert name not in zoneinfo.available_timezones()
    with pytest.raises(ConfigError, match="there is no time zone"):
        parse(scheduled([name]), source="config.toml", folder=Path())


def test_every_time_zone_that_there_is_can_be_named() -> None:
    names = sorted(zoneinfo.available_timezones())

    parsed = parse(scheduled(names), source="config.toml", folder=Path())

    assert [schedule.timezone for schedule in parsed.schedules] == names


def scheduled(zones: list[str]) -> str:
    """A schedule in each of these time zones."""
    return "\n".join(
        f'[[schedule]]\nname = "n{number}"\ncron = "0 2 * * *"\ntimezone = {json.dumps(zone)}'
        for number, zone in enumerate(zones)
    )
