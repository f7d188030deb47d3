"""Other ways to a host than its port: HTTP/3 of aioquic beside nginx, HTTPS records of Knot DNS, a name that is preloaded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanner.evidence import Attempt, FailureReason, FrontDoors, HttpsRecord
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Target
from scanner.probe import ProbeSettings
from scanner.probe.doors import asking
from scanner.probe.doors.probe import ECH, HTTP3, LISTED, DoorsProbe
from scanner.probe.doors.records import http3_in_header, http3_in_records, https_records_of
from scanner.probe.net.budget import Budget
from tests.build.http3_server import http3_server
from tests.build.servers import HOST, Servers, servers
from tests.build.signed_zone import ORIGIN, SignedZone, signed_zone
from tests.conftest import Runner

_HSTS = "max-age=63072000"
# The key of ECH is a made-up one: nobody reads more of it than that it is there.
_RECORDS = """
both    IN HTTPS 1 . alpn=h2,h3 port=8443 ech=AAj+DQAEYWJjZA==
both    IN HTTPS 2 other.example. alpn=h3 no-default-alpn
only    IN HTTPS 1 . alpn=h2
alias   IN HTTPS 0 both
_8443._https.only IN HTTPS 1 . alpn=h3
bare    IN A 192.0.2.1
"""


@pytest.fixture(scope="module")
def zone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedZone]:
    with signed_zone(tmp_path_factory.mktemp("doors"), _RECORDS, signed=False) as running:
        yield running


def records(zone: SignedZone, name: str, port: int = 443) -> Attempt[tuple[HttpsRecord, ...]]:
    return asyncio.run(https_records_of(f"{name}.{ORIGIN}", port, zone.resolver, 10))


def test_https_records_are_read(zone: SignedZone) -> None:
    assert records(zone, "both").value == (
        HttpsRecord(1, ".", ("h2", "h3", "http/1.1"), 8443, ech=True),
        HttpsRecord(2, "other.example", ("h3",)),
    )
    assert records(zone, "alias").value == (HttpsRecord(0, f"both.{ORIGIN}"),)
    assert records(zone, "only", 8443).value == (HttpsRecord(1, ".", ("h3", "http/1.1")),)
    assert records(zone, "bare").value == ()
    assert records(zone, "nowhere").value == ()
    silent = asyncio.run(https_records_of(f"both.{ORIGIN}", 443, "127.0.0.1:1", 0.3))
    assert silent.failure is not None
    assert silent.failure.reason is FailureReason.RESOLVER_FAILED


def test_only_what_is_advertised_for_the_host_itself_counts() -> None:
    found = (HttpsRecord(1, "other.example", ("h3",)), HttpsRecord(2, ".", ("h2",)), HttpsRecord(3, ".", ("h3",), 8443))
    assert http3_in_records(found, HOST, 443) == 8443
    assert http3_in_records(found[:2], HOST, 443) is None
    assert http3_in_header(['h2=":444", h3=":8443"; ma=60, h3=":9"'], HOST) == 8443
    assert http3_in_header([f'h3="{HOST}:8443"'], HOST) == 8443
    for value in (
        'h3="other.example:8443"',
        "clear",
        'h3-29=":443"',
        'h3=":0"',
        'h3=":99999"',
        'h3=":x"',
        'quic=":443"',
        "h3=:443",
    ):
        assert http3_in_header([value], HOST) is None, value


def observed(port: int, *rules: str, **settings: object) -> FrontDoors:
    target = Target(Endpoint("e", HOST, port), Address("127.0.0.1", port))
    asked = ProbeSettings(timeout_s=10, questions=frozenset(rules), **settings)

    async def ask() -> Attempt[FrontDoors]:
        budget = Budget.alone(asked, "127.0.0.1")
        return await DoorsProbe(asked).observe(target, Environment("e", EnvironmentKind.ON_PREMISES), budget)

    found = asyncio.run(ask())
    assert found.value is not None, found
    return found.value


def nginx(context: Servers, *, alternative: str, hsts: str = _HSTS) -> int:
    headers = f"add_header Alt-Svc '{alternative}' always; add_header Strict-Transport-Security '{hsts}' always;"
    return context.nginx(["rsa"], headers)


@pytest.mark.parametrize(
    ("key", "hsts", "reason"),
    [
        ("rsa", (_HSTS,), "same"),
        ("ecdsa", (_HSTS,), "other-certificate"),
        ("rsa", (None,), "other-hsts"),
        ("rsa", (_HSTS, None), "not-observed"),
    ],
)
def test_http3_is_compared_with_https(
    quick: Runner, tmp_path: Path, key: str, hsts: tuple[str | None, ...], reason: str
) -> None:
    """On the port that the header names, which is another one than that of HTTPS; twice, and no more often."""
    with servers(tmp_path) as context:
        udp = nginx(context, alternative="clear")
        port = nginx(context, alternative=f'h3=":{udp}"; ma=60')
        with http3_server(context.identities[key], udp, *hsts) as server:
            there = ("--connect-to", f"{HOST}:{port}=127.0.0.1:{port}", "--format", "json", "--rule", HTTP3)
            (target,) = quick("scan", f"{HOST}:{port}", *there).json["targets"]

    (verdict,) = (item for item in target["verdicts"] if item["rule"] == HTTP3)
    assert verdict["reason"] == reason, verdict
    assert server.connections == 2
    assert set(server.authorities) == {f"{HOST}:{port}"}
    if reason == "same":
        assert target["evidence"]["doors"]["http3"]["status"] == 200


def test_nobody_is_asked_where_nothing_is_advertised(tmp_path: Path) -> None:
    with servers(tmp_path) as context:
        port = nginx(context, alternative="clear")
        with http3_server(context.identities["rsa"], port) as server:
            found = observed(port, HTTP3)
            assert found.http3.value is not None
            assert found.http3.value.advertised == ()
            proxied = observed(port, HTTP3, proxy="http://127.0.0.1:1")
            assert proxied.http3.failure is not None
            assert proxied.http3.failure.reason is FailureReason.NOT_ASKED
    assert server.connections == 0


def test_silence_where_it_is_advertised_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody listens there, however long it is waited for; HTTPS has all its time.
    monkeypatch.setattr(asking, "_ROUNDS", 0.1)
    with servers(tmp_path) as context:
        port = nginx(context, alternative='h3=":1"')
        found = observed(port, HTTP3)
    assert found.http3.value is None
    assert found.http3.failure is not None
    assert "alt-svc advertises it" in found.http3.failure.detail


def test_a_record_advertises_it_too(tmp_path: Path) -> None:
    with servers(tmp_path) as context:
        port = nginx(context, alternative="clear")
        records_here = f"_{port}._https.{HOST.partition('.')[0]} IN HTTPS 1 . alpn=h3\n"
        with (
            signed_zone(tmp_path, records_here, origin=HOST.partition(".")[2], signed=False) as theirs,
            http3_server(context.identities["rsa"], port) as server,
        ):
            found = observed(port, HTTP3, ECH, resolver=theirs.resolver)
    assert found.https_records.value == (HttpsRecord(1, ".", ("h3", "http/1.1")),)
    assert found.http3.value is not None
    assert found.http3.value.advertised == ("https-record",)
    assert server.connections == 2


def preloaded(host: str) -> tuple[bool, int]:
    settings = ProbeSettings(questions=frozenset({LISTED}))
    target = Target(Endpoint("e", host, 443), Address("192.0.2.1", 443))

    async def ask() -> Attempt[FrontDoors]:
        budget = Budget.alone(settings, "192.0.2.1")
        return await DoorsProbe(settings).observe(target, Environment("e", EnvironmentKind.ON_PREMISES), budget)

    found = asyncio.run(ask()).value
    assert found is not None
    assert found.preloading.value is not None
    return found.preloading.value.listed, found.preloading.value.date.year


def test_the_list_is_that_of_a_day() -> None:
    """A whole top-level domain is on it, and what ends in `.example` never will be. No connection is made."""
    assert preloaded("whatever.dev") == (True, 2025)
    assert preloaded("www.shop.example") == (False, 2025)
