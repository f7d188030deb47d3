"""What of ours was not looked at because nobody configured it: found, told once, and nothing of other people's."""

from __future__ import annotations

import dataclasses
import io
import json
from typing import Any

import openpyxl
import pytest

from reports.export.formats import export
from reports.render import render_html
from reports.text import render_text
from reports.view import build_view
from reports.view.coverage import looked_from
from scanner.evidence import Failure, FailureReason
from scanner.inventory import Console, Endpoint, Environment, Inventory, InventorySource, Role, Untaken
from scanner.jobs.output import Rendering
from scanner.jobs.reporting import owned
from scanner.ownership import Ownership
from scanner.redaction import redacted
from scanner.rules import Observed, all_rules
from scanner.standpoint import MOST_NOT_COVERED, NotCovered, Uncovered, Vantage
from scanner.verdict import RunRecord, TargetStatus, Trigger
from tests.build.at_once import not_covered
from tests.build.facts import (
    HOST,
    TIMED_OUT,
    World,
    certificate,
    deployment,
    environment,
    http,
    observed,
    probe,
    tls,
    to,
)
from tests.build.records import sample_record

KNOWN = frozenset({HOST, "shop.example.co.uk"})
PLACE = f"{HOST}:443"
CONSOLE = Endpoint("production", "console.example.com", 443, Role.MONITORING, consoles=(Console(Role.MONITORING),))


def estate(*seen: Observed, untaken: tuple[Untaken, ...] = (), **changes: Any) -> list[NotCovered]:
    own = environment(**{"known_hosts": KNOWN, "endpoints": (CONSOLE,), **changes})
    found, total = not_covered(Inventory((own,), untaken), seen)
    assert total == len(found)
    return list(found)


def named(*names: str) -> Observed:
    return observed(World(tls=tls(deployment(certificate(dns_names=names)))))


def leading_to(*locations: str) -> Observed:
    return observed(
        World(
            tls=tls(deployment(certificate(dns_names=(HOST, "*.cdn.example.net")))),
            http=http(*(probe(to(location)) for location in locations)),
        )
    )


def test_a_name_in_a_served_certificate_that_is_not_configured() -> None:
    found = estate(named(HOST, "Forgotten.example.com", "*.example.com", "not a host"))

    assert found == [NotCovered(Uncovered.UNLISTED_NAME, "production", "forgotten.example.com", PLACE)]


def test_a_clients_certificate_names_no_host() -> None:
    own = tls(deployment(certificate(dns_names=("me", "laptop.example.com"))))
    assert estate(observed(World(host="client:me.pem", port=0, tls=own))) == []
    assert len(estate(observed(World(host="file:server.pem", port=0, tls=own)))) == 2


def test_several_addresses_tell_a_name_once() -> None:
    assert len(estate(named("a.example.com"), named("a.example.com"))) == 1


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("https://login.example.com/", "login.example.com"),  # the neighbour of a configured host
        ("https://example.com/", "example.com"),  # the domain above it
        (f"https://deep.{HOST}/", f"deep.{HOST}"),  # a host below it
        ("https://img.cdn.example.net/", "img.cdn.example.net"),  # what a served certificate covers
        ("http://LOGIN.example.com:8443/x", "login.example.com"),
        ("https://apps.tenant.example.org/", "apps.tenant.example.org"),  # below the environment's domain
        ("https://payments.example.net/", None),  # somebody else
        ("https://other.co.uk/", None),  # registered under what many register under
        ("https://192.0.2.9/", None),  # no name
        (f"https://{HOST}/x", None),  # configured
        ("https://[broken/", None),
    ],
)
def test_a_redirect_to_a_host_of_ours_that_is_not_configured(location: str, host: str | None) -> None:
    found = estate(leading_to(location), custom_domain="tenant.example.org")

    expected = [NotCovered(Uncovered.UNLISTED_REDIRECT, "production", host, PLACE)] if host else []
    assert [item for item in found if item.reason is Uncovered.UNLISTED_REDIRECT] == expected


APPLICATION = Endpoint("production", HOST, 443)


def test_an_environment_on_a_platform_with_applications_and_no_console() -> None:
    def lacking(*endpoints: Endpoint) -> list[NotCovered]:
        return estate(endpoints=endpoints, default_domain="tenant.platform.example")

    assert lacking(APPLICATION) == [NotCovered(Uncovered.NO_CONSOLE, "production")]
    assert lacking(APPLICATION, CONSOLE) == []
    assert lacking(dataclasses.replace(APPLICATION, consoles=(Console(Role.MONITORING, ("/ServiceCenter",)),))) == []
    assert lacking(Endpoint("production", "mail.example.com", 25, Role.SERVER)) == [], "no applications"


@pytest.mark.parametrize("role", [Role.MONITORING, Role.DEVELOPMENT])
def test_a_console_is_expected_where_another_environment_has_one(role: Role) -> None:
    def lacking(other: Endpoint) -> list[NotCovered]:
        others = Environment("test", environment().kind, (other,), known_hosts=KNOWN)
        own = environment(known_hosts=KNOWN, endpoints=(APPLICATION,))
        return list(not_covered(Inventory((own, others)), [])[0])

    assert lacking(Endpoint("test", HOST, 443, role)) == [NotCovered(Uncovered.NO_CONSOLE, "production")]
    assert lacking(Endpoint("test", HOST, 443)) == [], "nobody has a platform with consoles"


def test_an_inventory_with_another_number_of_hosts() -> None:
    sources = (InventorySource("hosts.csv", 498, 500), InventorySource("zone.db", 3))

    (found,) = estate(sources=sources)
    assert found == NotCovered(Uncovered.UNEXPECTED_COUNT, "production", found="hosts.csv: 498, expected 500")


def test_a_host_of_an_inventory_file_that_no_environment_takes() -> None:
    left = Untaken("old.example.com\x1b", 443, "retired", "hosts.csv:17")

    (found,) = estate(untaken=(left,))
    assert found.reason is Uncovered.NOT_TAKEN
    assert (found.environment, found.found) == ("retired", "hosts.csv:17")
    assert "\x1b" not in found.host, "a file is somebody else's"


def test_what_was_not_seen_says_nothing() -> None:
    assert estate(observed(World(tls=tls(certificates=TIMED_OUT), http=TIMED_OUT))) == []


def test_hosts_of_the_command_line_are_no_estate() -> None:
    assert not_covered(Inventory((environment(known_hosts=None),)), [named("a.example.com")]) == ((), 0)


def test_a_long_list_is_cut_and_counted() -> None:
    left = tuple(Untaken(f"h{n}.example.com", 443, "x", "hosts.csv") for n in range(MOST_NOT_COVERED + 5))

    found, total = not_covered(Inventory((environment(known_hosts=KNOWN),), left), [])
    assert (len(found), total) == (MOST_NOT_COVERED, MOST_NOT_COVERED + 5)


def test_environments_are_apart() -> None:
    others = Environment("test", environment().kind, (Endpoint("test", HOST, 443),), known_hosts=KNOWN)
    own = environment(known_hosts=KNOWN, endpoints=(CONSOLE,))
    found, _ = not_covered(Inventory((own, others)), [named("a.example.com")])

    assert [(item.environment, item.reason) for item in found] == [
        ("production", Uncovered.UNLISTED_NAME),
        ("test", Uncovered.NO_CONSOLE),
    ]


MISSING = (
    NotCovered(Uncovered.UNLISTED_NAME, "legacy", "a.example.com", "erp.example.internal:443"),
    NotCovered(Uncovered.UNLISTED_NAME, "test", "b.example.com", "shop.test.example.com:443"),
    NotCovered(Uncovered.NO_CONSOLE, "test"),
)


def record_of_two() -> RunRecord:
    record = sample_record()
    return dataclasses.replace(
        record,
        run=dataclasses.replace(record.run, not_covered=MISSING, not_covered_total=3, vantage=VANTAGE),
    )


VANTAGE = Vantage("dmz-1", ("192.0.2.9",), ("192.0.2.0/24",), ("192.0.2.53",), "socks5://bastion:1080")


def test_the_report_of_an_owner_tells_what_was_seen_at_their_hosts() -> None:
    owners = {"legacy/erp.example.internal:443": Ownership("erp-team")}

    found = owned(Rendering(record_of_two(), owners=owners), "erp-team", ())
    assert found.record.run.not_covered == MISSING[:1]
    assert found.record.run.not_covered_total == 1


def test_terminal_json_and_workbook_list_it_and_say_where_it_was_looked_from() -> None:
    record = record_of_two()

    text = render_text(record, rules={}, width=200)
    assert "Not covered: a.example.com (legacy): named in a served certificate, not configured" in text
    assert "Not covered: test: applications, but no console configured" in text
    assert "looked from dmz-1; 192.0.2.9 (192.0.2.0/24); through socks5://bastion:1080; names by 192.0.2.53\n" in text
    by_hand = dataclasses.replace(record, run=dataclasses.replace(record.run, trigger=Trigger.AD_HOC))
    assert "through socks5://bastion:1080" in render_text(by_hand, rules={}, width=200)
    unnamed = dataclasses.replace(by_hand.run, vantage=Vantage(addresses=("192.0.2.9",)))
    assert "looked from" not in render_text(dataclasses.replace(by_hand, run=unnamed), rules={}, width=200)
    document = json.loads(export(record, "json", rules={}))["run"]
    assert document["not_covered"][0] == {
        "reason": "unlisted-name",
        "environment": "legacy",
        "host": "a.example.com",
        "found": "erp.example.internal:443",
    }
    assert document["not_covered_total"] == 3
    assert document["vantage"] == {
        "name": "dmz-1",
        "addresses": ["192.0.2.9"],
        "networks": ["192.0.2.0/24"],
        "resolvers": ["192.0.2.53"],
        "proxy": "socks5://bastion:1080",
    }
    book = openpyxl.load_workbook(io.BytesIO(export(record, "xlsx", rules={})))
    about = [(row[0].value, row[1].value) for row in book["Run"].iter_rows()]
    assert (
        "Looked from",
        "dmz-1; 192.0.2.9 (192.0.2.0/24); through socks5://bastion:1080; names by 192.0.2.53",
    ) in about
    assert len([what for what, _ in about if what == "Not covered"]) == 3


def test_the_page_lists_it_and_says_where_it_was_looked_from() -> None:
    page = render_html(build_view(record_of_two(), rules=all_rules()))

    assert "Not covered: not configured" in page
    assert "a.example.com" in page
    assert "dmz-1; 192.0.2.9 (192.0.2.0/24)" in page
    assert "Not covered" not in render_html(build_view(sample_record(), rules=all_rules()))


def test_for_others_the_place_is_replaced() -> None:
    made = redacted(record_of_two()).run

    assert made.vantage is not None
    told = f"{made.vantage} {made.not_covered}"
    for secret in ("dmz-1", "192.0.2.", "bastion", "a.example.com", "legacy", "erp.example"):
        assert secret not in told


def record_of_zones() -> RunRecord:
    """The sample, two targets of which workers of other zones saw, and one for which no worker was there."""
    record = record_of_two()
    lost = Failure(FailureReason.NO_WORKER, 'no worker of zone "plant-9" is there')
    zones = iter(("plant-7", "dmz-2", "plant-7"))
    targets = [
        dataclasses.replace(item, evidence=dataclasses.replace(item.evidence, seen_from=next(zones, "")))
        if item.evidence
        else item
        for item in record.targets
    ]
    targets.append(
        dataclasses.replace(targets[0], id="lost", status=TargetStatus.UNREACHABLE, evidence=None, error=lost)
    )
    return dataclasses.replace(record, targets=tuple(targets))


def test_zones_whose_workers_looked_are_told_beside_the_place() -> None:
    record = record_of_zones()
    number = len(record.targets)
    expected = f"names by 192.0.2.53; zone dmz-2: 1 of {number} targets; zone plant-7: 2 of {number} targets"

    assert looked_from(record).endswith(expected)
    assert expected in render_html(build_view(record, rules=all_rules()))
    book = openpyxl.load_workbook(io.BytesIO(export(record, "xlsx", rules={})))
    (told,) = (row[1].value for row in book["Run"].iter_rows() if row[0].value == "Looked from")
    assert str(told).endswith(expected)
    document = json.loads(export(record, "json", rules={}))
    assert [item["evidence"]["seen_from"] for item in document["targets"][:3]] == ["plant-7", "dmz-2", "plant-7"]


def test_of_an_older_run_the_zones_alone_are_known() -> None:
    record = record_of_zones()

    older = dataclasses.replace(record, run=dataclasses.replace(record.run, vantage=None))
    assert looked_from(older).startswith("zone dmz-2: 1 of ")
    assert looked_from(sample_record()) == ""


def test_for_others_zones_are_replaced() -> None:
    made = redacted(record_of_zones())

    told = looked_from(made)
    assert told.count("zone zone-") == 2
    assert all(secret not in repr(made) for secret in ("plant-7", "dmz-2", "plant-9"))
