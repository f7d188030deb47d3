"""Evidence for others: nothing in it tells whose it is, and it is judged as before."""

from __future__ import annotations

import dataclasses
import re

import pytest
from pydantic import TypeAdapter

from scanner import policy, redaction
from scanner.redaction import Redactor
from scanner.replay import Judge
from scanner.verdict import RunRecord
from tests.build.judged import judged_record


@pytest.fixture(scope="module")
def record() -> RunRecord:
    return judged_record(4).record


@pytest.fixture(scope="module")
def redacted(record: RunRecord) -> RunRecord:
    return redaction.redacted(record)


def text_of(record: RunRecord) -> str:
    return TypeAdapter(RunRecord).dump_json(record).decode()


def outcomes(record: RunRecord, judge: Judge) -> list[tuple[int, str, str, str, str]]:
    """What the rules say of each target, without what names it: place, rule, status, severity, reason."""
    judged = judge(record, record.run.finished_at)
    return sorted(
        (place, verdict.rule, verdict.status.value, verdict.severity.value, verdict.reason)
        for place, target in enumerate(judged.targets)
        for verdict in target.verdicts
    )


def originals(record: RunRecord) -> set[str]:
    """What tells whose a run is."""
    found: set[str] = set(record.run.environments)
    for target in record.targets:
        found |= {target.id, target.host, target.ip or "", target.environment, *target.applications}
        tls = target.evidence.tls.value if target.evidence else None
        for deployment in (tls.certificates.value or ()) if tls else ():
            for item in deployment.chain:
                found |= {item.fingerprint, item.short_fingerprint, item.spki, item.serial, *item.dns_names}
                found |= {*item.ip_addresses, *item.ocsp_urls, *item.crl_urls, *item.issuer_urls}
                found |= set(re.findall(r"=([^,]+)", f"{item.subject},{item.issuer}"))
    return {text for text in found if len(text) > 3}


def test_nothing_tells_whose_it_is(record: RunRecord, redacted: RunRecord) -> None:
    text = text_of(redacted).lower()
    wanted = originals(record)

    assert len(wanted) > 40
    assert sorted(item for item in wanted if re.search(rf"(?<!\w){re.escape(item.lower())}(?!\w)", text)) == []


def test_it_is_judged_as_before(record: RunRecord, redacted: RunRecord) -> None:
    judge = Judge(policy.load("https-by-default"), (), lambda _: None)
    before, after = outcomes(record, judge), outcomes(redacted, judge)

    assert len(before) > 200
    # A weak key is not published for the sake of being judged again: a sound one stands in its place.
    weak = [item for item in before if item[1] == redaction.KEY_CANNOT_BE_KEPT and item[2] == "fail"]
    assert [item for item in after if item not in before] == [(*item[:2], "pass", "critical", "sound") for item in weak]
    assert [item for item in before if item not in after] == weak
    assert {status for _, _, status, *_ in before} == {"pass", "fail", "not-applicable", "indeterminate"}


def test_the_verdicts_of_then_are_kept(record: RunRecord, redacted: RunRecord) -> None:
    def said(of: RunRecord) -> list[tuple[str, ...]]:
        return [(item.rule, item.status, item.severity, item.reason) for item in of.verdicts]

    assert said(redacted) == said(record)


def test_each_export_has_substitutes_of_its_own(record: RunRecord) -> None:
    one, two = (redaction.redacted(record) for _ in range(2))

    assert one != two, "digests are keyed anew, so that two files cannot be laid side by side"


@pytest.mark.parametrize("name", ["application", "manual", "pass", "mozilla", "x25519", "cert"])
def test_an_environment_may_be_called_like_a_word_of_ours(record: RunRecord, name: str) -> None:
    target = record.targets[0]
    named = dataclasses.replace(target, environment=name, id=target.id.replace(target.environment, name, 1))
    run = dataclasses.replace(record.run, environments=(name,))

    (made,) = redaction.redacted(RunRecord(run, (named,))).targets

    assert made.environment == "environment-1"
    assert (made.role, made.status) == (target.role, target.status)
    assert [item.rule for item in made.verdicts] == [item.rule for item in target.verdicts]


class TestSubstitutes:
    def test_a_wildcard_covers_what_it_covered(self) -> None:
        redactor = Redactor()

        host, wildcard = redactor.host("shop.example.com"), redactor.host("*.Example.com")

        assert wildcard.removeprefix("*") == host.removeprefix(host.split(".")[0])
        assert "example" not in host + wildcard

    def test_addresses_stay_of_their_kind(self) -> None:
        redactor = Redactor()

        assert redactor.address("10.1.2.3") == redactor.address("10.1.2.3") == "198.18.0.1"
        assert redactor.address("10.1.2.4") == "198.18.0.2"
        assert redactor.address("2a00::1") == "2001:db8::1"

    def test_a_url_keeps_what_is_judged(self) -> None:
        redactor = Redactor()
        made = redactor.url("https://shop.example.com:8443/Shop/Pay?token=s3cret")

        assert re.fullmatch(r"https://h-\d+\.h-\d+\.com:8443/p-1/p-2\?query-1", made)

    @pytest.mark.parametrize(
        "text",
        [
            "connection to 10.9.8.7 refused",
            "connection to fd00::42 refused",
            "the name shop.intra.example does not resolve",
            "leads to http://shop.intra.example/login?user=ann",
            "certificate 0123456789abcdef ends",
        ],
    )
    def test_sentences_are_read(self, text: str) -> None:
        made = Redactor().text(text)

        assert not re.search(r"10\.9|fd00|shop|intra|login|ann|0123456789abcdef", made)

    @pytest.mark.parametrize(
        "text", ["TLS 1.2 and http/1.1 at 12:30:00", "nginx/1.24.0", "RFC 8446 section 4.1.2", "0 of 12 paths"]
    )
    def test_what_names_nobody_is_kept(self, text: str) -> None:
        assert Redactor().text(text) == text
