"""A renewal is told apart from what is none, and of two certificates each is compared with its own kind."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from scanner.app.handlers.diff import describe
from scanner.evidence import Attempt, Certificate, Deployment, PathValidation, StoreTrust
from scanner.history.diff import diff
from scanner.history.renewals import Aspect, Presented, differences, is_expected, paired
from scanner.verdict import RunRecord
from tests.build.certificates import leaf
from tests.build.records import sample_record

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
RENEWED = BEGAN + timedelta(days=60)
SHOP = "production/shop.example.com:443@192.0.2.10"
OLD = leaf("shop.example.com", not_before=BEGAN, days=90)
LATER = leaf("shop.example.com", not_before=RENEWED, days=90)
NEW_KEY = leaf("shop.example.com", not_before=RENEWED, days=90, key="another")


def presented(certificate: Certificate, *stores: str, **changes: object) -> Presented:
    paths = (PathValidation("mozilla", "aa", trusted="mozilla" in stores),) if stores else ()
    listed = tuple(StoreTrust(name, name in stores, BEGAN) for name in ("apple", "chrome")) if stores else ()
    certificate = dataclasses.replace(certificate, **changes)
    return Presented.of(Deployment((certificate,), paths=paths, stores=listed))


def aspects(before: Presented, after: Presented) -> set[Aspect]:
    return {item.aspect for item in differences(before, after)}


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (presented(LATER), set()),
        (presented(NEW_KEY), {Aspect.KEY}),
        (presented(leaf("shop.example.com", not_before=RENEWED, days=90, rsa_bits=2048)), {Aspect.KEY_KIND}),
        (presented(leaf("shop.example.com", not_before=RENEWED, days=47)), {Aspect.LIFETIME}),
        (presented(leaf("shop.example.com", not_before=RENEWED, days=89)), set()),
        (presented(LATER, issuer="CN=Example Issuing CA 2,O=Example Trust Services"), {Aspect.INTERMEDIATE}),
        (presented(LATER, issuer="CN=Example Issuing CA 1,O=Example trust services"), {Aspect.INTERMEDIATE}),
    ],
)
def test_what_renewing_changes_is_expected(after: Presented, found: set[Aspect]) -> None:
    assert aspects(presented(OLD), after) == found
    assert is_expected(differences(presented(OLD), after))


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (presented(LATER, issuer="CN=Example Issuing CA 1,O=Other Trust"), Aspect.ISSUER),
        (presented(LATER, issuer="CN=Private CA"), Aspect.ISSUER),
        (presented(leaf("shop.example.com", "evil.example", not_before=RENEWED, days=90)), Aspect.NAMES),
        (presented(LATER, dns_names=()), Aspect.NAMES),
        (presented(LATER, ip_addresses=("192.0.2.1",)), Aspect.NAMES),
        (presented(leaf("shop.example.com", not_before=BEGAN - timedelta(days=60), days=90)), Aspect.OLDER),
    ],
)
def test_what_renewing_does_not_change_is_a_surprise(after: Presented, found: Aspect) -> None:
    assert aspects(presented(OLD), after) == {found}
    assert not is_expected(differences(presented(OLD), after))


def test_trust_that_is_lost_is_a_surprise_and_trust_that_is_won_is_none() -> None:
    everywhere, without = presented(OLD, "mozilla", "apple", "chrome"), presented(LATER, "mozilla", "chrome")
    (lost,) = differences(everywhere, without)
    assert str(lost) == "trust: trusted by apple → no more"
    assert not aspects(without, everywhere) - {Aspect.OLDER}
    assert not aspects(everywhere, presented(LATER)), "where nobody looked nothing was lost"


def chosen(certificate: Certificate, **stores: bool) -> Presented:
    """Trusted or not by stores that the configuration names: `a=True` is /etc/a.pem, and `a_moved` the same elsewhere."""
    folders = {"": "/etc", "moved": "/mnt/nightseal-x1"}
    named = [(*name.partition("_")[::2], trusted) for name, trusted in stores.items()]
    paths = tuple(PathValidation(f"{folders[where]}/{name}.pem", "aa", trusted) for name, where, trusted in named)
    return Presented.of(Deployment((certificate,), paths=paths))


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        ({"a": True}, {"a_moved": True}, None),
        ({"a_moved": True}, {"a": True}, None),
        ({"a": True}, {"b": True}, None),
        ({"a": True, "b": True}, {"b_moved": True}, None),
        ({"a": True}, {"a_moved": False}, "trusted by a.pem"),
        ({"a": True}, {"b": False}, "trusted by a.pem"),
        ({"a": True, "b": True}, {"a_moved": True, "b_moved": False}, "trusted by b.pem"),
        ({"a": False}, {"b": False}, None),
    ],
)
def test_a_store_is_the_same_wherever_its_file_lies(
    before: dict[str, bool], after: dict[str, bool], lost: str | None
) -> None:
    found = [item.before for item in differences(chosen(OLD, **before), chosen(LATER, **after))]
    assert found == ([lost] if lost else [])


def test_what_is_surprising_stands_first() -> None:
    after = presented(NEW_KEY, issuer="CN=X,O=Other")
    assert [item.aspect for item in differences(presented(OLD), after)] == [Aspect.ISSUER, Aspect.KEY]
    assert (
        str(differences(presented(OLD), after)[0])
        == "issuer: Example Issuing CA 1 (Example Trust Services) → X (Other)"
    )


def test_two_certificates_that_are_renewed_together_are_each_compared_with_their_own_kind() -> None:
    rsa = [leaf("shop.example.com", not_before=at, days=90, rsa_bits=2048) for at in (BEGAN, RENEWED)]
    gone = [("rsa", presented(rsa[0])), ("ec", presented(OLD))]
    came = [("new ec", presented(NEW_KEY)), ("new rsa", presented(rsa[1]))]
    pairs = [(before[0], after[0]) for before, after in paired(gone, came) if before and after]
    assert sorted(pairs) == [("ec", "new ec"), ("rsa", "new rsa")]
    assert paired([], came) == [(None, came[0]), (None, came[1])]
    assert paired(gone, []) == [(gone[0], None), (gone[1], None)]


def with_leaves(record: RunRecord, *certificates: Certificate) -> RunRecord:
    def changed(target):
        if target.id != SHOP:
            return target
        tls = target.evidence.tls.value
        (deployment,) = tls.certificates.value
        shown = tuple(dataclasses.replace(deployment, chain=(item, *deployment.chain[1:])) for item in certificates)
        tls = dataclasses.replace(tls, certificates=Attempt.ok(shown))
        return dataclasses.replace(target, evidence=dataclasses.replace(target.evidence, tls=Attempt.ok(tls)))

    return dataclasses.replace(record, targets=tuple(map(changed, record.targets)))


def test_the_difference_of_two_runs_tells_what_is_other_in_a_certificate() -> None:
    before = with_leaves(sample_record(0), OLD)
    after = with_leaves(sample_record(1), dataclasses.replace(NEW_KEY, issuer="CN=X,O=Other"))
    (change,) = diff(before, after).certificates
    assert (change.expected, change.words) == (False, "replaced, until 2026-05-30")
    text = "\n".join(describe(diff(before, after)))
    assert "Certificates changed other than by renewal (1)" in text
    assert "issuer: Example Issuing CA 1 (Example Trust Services) → X (Other)" in text
    renewed = "\n".join(describe(diff(before, with_leaves(sample_record(1), NEW_KEY))))
    assert "Certificates changed (1)" in renewed
    assert "renewed, until 2026-05-30" in renewed


def test_one_more_certificate_is_compared_with_the_one_that_is_most_like_it() -> None:
    rsa = leaf("shop.example.com", not_before=RENEWED, days=90, rsa_bits=2048)
    before = with_leaves(sample_record(0), OLD)
    (change,) = diff(before, with_leaves(sample_record(1), OLD, rsa)).certificates
    assert (change.before, change.expected) == (None, True)
    assert change.words == "one more certificate, until 2026-05-30"
    (gone,) = diff(with_leaves(sample_record(0), OLD, rsa), with_leaves(sample_record(1), OLD)).certificates
    assert (gone.after, gone.expected, gone.words) == (None, True, "a certificate is no longer served")
