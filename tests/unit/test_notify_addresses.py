"""Addresses that change, and endpoints that are retired: neither is taken for a fix, or for a failure."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import Engine

from scanner.evidence import FailureReason
from scanner.verdict import RunRecord, Status
from tests.build.notified import (
    MONITOR,
    QUIET,
    SHOP,
    WEAK,
    at_addresses,
    changed,
    failed,
    finish,
    judged_by,
    nights,
    of_environments,
    of_estate,
    silent_host,
    texts,
    without_host,
)


@pytest.mark.parametrize("days", [1, 3])
def test_what_failed_at_an_address_that_is_not_there_tonight_is_neither_fixed_nor_new_again(
    engine: Engine, days: int
) -> None:
    both = at_addresses(QUIET, MONITOR, a13=QUIET, a21=WEAK)
    good, bad = at_addresses(QUIET, MONITOR, a13=QUIET), at_addresses(QUIET, MONITOR, a21=WEAK)
    told = nights(engine, QUIET, both, good, both, good, bad, good, bad, days=days)

    assert "1 new failure" in told[1]
    assert not [text for text in told[2:] if "fixed" in text or "new failure" in text or "flapping" in text]
    assert not [text for text in told if "overage" in text], "each endpoint was looked at each night"


def test_an_address_that_failed_is_fixed_where_it_is_seen_to_be(engine: Engine) -> None:
    both = at_addresses(QUIET, MONITOR, a13=QUIET, a21=WEAK)
    good = at_addresses(QUIET, MONITOR, a13=QUIET)
    told = nights(engine, QUIET, both, good, at_addresses(QUIET, MONITOR, a21=QUIET))

    assert "1 fixed" in told[3]
    assert "ended" not in told[3]


def test_an_address_that_is_gone_for_good_ends_what_failed_there_once(engine: Engine) -> None:
    both = at_addresses(QUIET, MONITOR, a13=QUIET, a21=WEAK)
    told = nights(engine, QUIET, both, *[at_addresses(QUIET, MONITOR, a13=QUIET)] * 9)

    (ended,) = [text for text in told if "Ended: the addresses changed" in text]
    assert told.index(ended) == 8, "a week after it was seen"
    assert "The addresses at which it failed have not been in use for 7 days" in ended
    assert "Cause: Addresses: the name has other addresses" in ended
    assert not [text for text in told if "fixed" in text]


@pytest.mark.parametrize("rule", ["cert.same-on-all-addresses", "https.node-consistency"])
def test_one_address_is_no_agreement_of_all(engine: Engine, rule: str) -> None:
    base = judged_by(QUIET, rule, "proto.no-tls1.0")
    differs = changed(base, MONITOR, rule, **failed("They differ.", reason="different"))
    lone = changed(
        base, MONITOR, rule, **failed("One.", status=Status.NOT_APPLICABLE, reason="one-address", observed="")
    )
    both = at_addresses(QUIET, MONITOR, a13=differs, a21=differs)
    told = nights(
        engine, base, both, at_addresses(QUIET, MONITOR, a13=lone), at_addresses(QUIET, MONITOR, a21=lone), both
    )

    assert "1 new failure" in told[1]
    assert not [text for text in told[2:] if "fixed" in text or "new failure" in text]


@pytest.mark.parametrize(
    ("text", "environments", "told"),
    [
        pytest.param(of_estate(SHOP), ("production",), False, id="an endpoint, or a row of an inventory"),
        pytest.param(of_estate(SHOP, name="qa"), ("qa",), False, id="an environment"),
        pytest.param(of_estate(SHOP, MONITOR), ("qa",), False, id="a schedule of fewer environments"),
        pytest.param(of_estate(SHOP, MONITOR), ("production",), True, id="a real drop"),
    ],
)
def test_what_the_configuration_no_longer_has_is_no_drop(
    engine: Engine, text: str, environments: tuple[str, ...], *, told: bool
) -> None:
    both = of_environments(QUIET, "production")
    left = without_host(both, MONITOR) if environments == ("production",) else of_environments(QUIET)
    left = RunRecord(dataclasses.replace(left.run, environments=environments, expected_targets=1), left.targets)
    finish(engine, both, None, 0, of_estate(SHOP, MONITOR))
    finish(engine, left, both, 1, text)
    finish(engine, left, left, 2, text)
    drops = [text for text in texts(engine) if "Coverage dropped" in text]

    assert len(drops) == int(told)
    assert all(f"production/{MONITOR}:443" in text for text in drops), "which host is missing"
    assert not [text for text in texts(engine) if "fixed" in text]


def test_a_drop_names_its_hosts_and_its_cause_once(engine: Engine) -> None:
    dark = silent_host(QUIET, MONITOR, FailureReason.RESOLVER_FAILED)
    told = nights(engine, QUIET, dark, dark)

    assert "1 of " in told[1]
    assert (
        "assessed in full before, and not now: the resolver could not determine whether the name exists.\n"
        f"    production/{MONITOR}:443\n    Cause: Scanner or network: "
    ) in told[1]
    assert "Coverage dropped" not in told[2]


@pytest.mark.parametrize(
    ("reason", "cause", "advice"),
    [
        (FailureReason.RESOLVER_FAILED, "Scanner or network", "Check the scanner's resolver"),
        (FailureReason.UNREACHABLE, "Scanner or network", "Check the scanner's route"),
        (FailureReason.NO_WORKER, "Scanner or network", "Start a worker"),
        (FailureReason.DEADLINE, "Scanner or network", "Give the target more time"),
        (FailureReason.ENGINE_ERROR, "Scanner or network", "Look into the log of the run"),
        (FailureReason.REFUSED, "Server", "Check that the service listens"),
        (FailureReason.UNRESOLVABLE, "Server", "Correct the name in the DNS"),
    ],
)
def test_what_cannot_be_reached_says_through_what_and_what_to_do(
    engine: Engine, reason: FailureReason, cause: str, advice: str
) -> None:
    told = nights(engine, QUIET, silent_host(QUIET, MONITOR, reason), QUIET)
    about = told[1].partition("It cannot be reached")[2]

    assert f"    Cause: {cause}: " in about
    assert f"    To do: {advice}" in about
    assert "It answers again" in told[2]
    assert f"    Cause: {cause}: " in told[2].partition("It answers again")[2]
