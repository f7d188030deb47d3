"""Certificates, the enforcement matrix and owners, as the report's view has them."""

from __future__ import annotations

import dataclasses
import re
from datetime import date

import pytest

from reports.render import render_html
from reports.view import ReportView
from reports.view.certificates import issuer_name
from reports.view.model import ActionKind
from scanner.evidence import Attempt, FailureReason
from scanner.inventory import (
    Console,
    Role,
)
from scanner.ownership import Ownership
from scanner.verdict import AppliedWaiver, RunRecord, Status
from tests.build.judged import judged_record, judged_view
from tests.build.records import sample_record
from tests.build.views import view_of


@pytest.fixture(scope="module")
def view() -> ReportView:
    return judged_view()


class TestCertificates:
    def test_each_once_and_soonest_first(self, view: ReportView) -> None:
        fingerprints = [item.fingerprint for item in view.certificates]
        assert len(fingerprints) == len(set(fingerprints))
        ends = [item.not_after for item in view.certificates]
        assert ends == sorted(ends)

    def test_shared_certificate_lists_every_target(self, view: ReportView) -> None:
        shop = next(item for item in view.certificates if item.name == "shop.example.com")
        assert len(shop.targets) == 2
        assert shop.days_left == 56

    def test_shared_key_is_said(self) -> None:
        view = view_of(sample_record(0))
        shared = {item.name for item in view.certificates if item.key_shared}
        assert shared == {"shop.example.com", "*.test.example.com"}

    def test_issuer_name(self) -> None:
        assert issuer_name("CN=R11,O=Let's Encrypt,C=US") == "R11, Let's Encrypt"
        assert issuer_name("CN=Example Issuing CA 1,O=Example Trust") == "Example Issuing CA 1"
        assert issuer_name(r"O=Acme\, Inc.") == "Acme, Inc."


class TestEnforcementMatrix:
    def test_a_file_with_certificates_is_no_place(self) -> None:
        """Nobody asks anything of it, over HTTP or HTTPS."""
        judged = judged_record(4)
        shop = next(item for item in judged.record.targets if item.host == "shop.example.com")
        file = dataclasses.replace(
            shop, id=f"{shop.environment}/client:me.pem@file", host="client:me.pem", port=0, role=Role.SERVER, ip=None
        )
        alone = dataclasses.replace(file, id="files/file:me.pem@file", environment="files")
        record = dataclasses.replace(judged.record, targets=(*judged.record.targets, file, alone))

        def places(targets: RunRecord) -> list[tuple[str, str]]:
            return [(item.environment, row.place) for item in view_of(targets).matrices for row in item.rows]

        assert places(record) == places(judged.record) != []

    def test_says_requirement_and_observation(self, view: ReportView) -> None:
        rows = {row.place: row for matrix in view.matrices for row in matrix.rows}
        row = rows["api.test.example.com:443/"]
        assert row.requirement == "HTTPS; HTTP may only redirect"
        assert row.over_http == "200"
        assert (row.status, row.rule) == (Status.FAIL, "https.redirect")
        assert row.anchor in {cause.anchor for cause in view.causes}

    def test_what_is_waived_everywhere_has_no_finding_to_lead_to(self) -> None:
        """Nor has anything else on the page a link to what is not there."""
        judged = judged_record(4)
        waiver = AppliedWaiver("Accepted", "qa", date(2027, 1, 1))
        targets = tuple(
            dataclasses.replace(
                target,
                verdicts=tuple(
                    dataclasses.replace(item, waiver=waiver)
                    if item.rule == "https.redirect" and item.status is Status.FAIL
                    else item
                    for item in target.verdicts
                ),
            )
            for target in judged.record.targets
        )
        view = judged_view(dataclasses.replace(judged.record, targets=targets))
        waived = [row for matrix in view.matrices for row in matrix.rows if row.rule == "https.redirect" and row.waived]
        assert waived
        assert {row.anchor for row in waived} == {None}
        page = render_html(view)
        led_to = set(re.findall(r'href="#([^"]+)"', page))
        assert led_to
        assert led_to <= set(re.findall(r'\bid="([^"]+)"', page))

    def test_same_place_at_several_addresses_is_one_row(self, view: ReportView) -> None:
        rows = [row for matrix in view.matrices for row in matrix.rows if row.place == "shop.example.com:443/"]
        assert [len(row.targets) for row in rows] == [2]

    def test_rows_of_one_place_say_at_which_address(self) -> None:
        judged = judged_record(4)
        targets = tuple(
            dataclasses.replace(
                target,
                evidence=dataclasses.replace(target.evidence, http=Attempt.failed(FailureReason.DEADLINE)),
            )
            if target.ip == "192.0.2.11" and target.evidence
            else target
            for target in judged.record.targets
        )
        view = view_of(dataclasses.replace(judged.record, targets=targets), environments=judged.environments)
        rows = [row for matrix in view.matrices for row in matrix.rows if row.place == "shop.example.com:443/"]
        assert [(row.only_at, row.over_http == "not seen") for row in rows] == [
            (("192.0.2.10",), False),
            (("192.0.2.11",), True),
        ]

    def test_each_console_is_called_by_its_own_role(self) -> None:
        judged = judged_record(4)
        consoles = (Console(Role.MONITORING, ("/ServiceCenter",)), Console(Role.DEVELOPMENT, ("/ServiceStudio",)))
        environments = {
            name: dataclasses.replace(
                item,
                endpoints=tuple(
                    dataclasses.replace(each, consoles=consoles if each.host == "shop.example.com" else ())
                    for each in item.endpoints
                ),
            )
            for name, item in judged.environments.items()
        }
        view = view_of(judged.record, environments=environments)
        called = {row.place: row.application for matrix in view.matrices for row in matrix.rows}
        assert called["shop.example.com:443/ServiceCenter"] == "monitoring console"
        assert called["shop.example.com:443/ServiceStudio"] == "development endpoint"

    def test_mail_server_has_no_plain_http(self, view: ReportView) -> None:
        row = next(row for matrix in view.matrices for row in matrix.rows if row.place == "mail.example.com:25")
        assert (row.requirement, row.over_http) == ("TLS by STARTTLS (smtp)", "")

    def test_without_configuration_requirements_stay_unsaid(self) -> None:
        view = view_of(judged_record(4).record)
        rows = [row for matrix in view.matrices for row in matrix.rows if row.place.startswith("shop.example.com")]
        assert {row.requirement for row in rows} == {""}


class TestOwners:
    def test_who_must_mend_is_the_owner_and_the_environment_where_nobody_is(self) -> None:
        record = judged_record(4).record
        erp = next(target.endpoint for target in record.targets if target.host == "erp.example.internal")
        whose = Ownership("erp-team", "erp@example.com", (("tier", "2"),))
        view = view_of(record, owners={erp: whose})
        for action in view.actions:
            if action.kind in {ActionKind.FIX, ActionKind.RENEW, ActionKind.REACH}:
                owners = {"erp-team" if ref.endpoint == erp else ref.environment for ref in action.targets}
                assert owners == {action.who}
                assert action.contact == ("erp@example.com" if action.who == "erp-team" else "")
        assert "erp-team" in {action.who for action in view.actions}
        assert view.whose == {erp: whose}
        everywhere = [ref for cause in view.causes for ref in cause.targets]
        assert view.whose_are(everywhere) == ("erp-team · erp@example.com · tier=2",)

    def test_of_targets_with_different_labels_only_the_owners_are_named_each_once(self) -> None:
        record = judged_record(4).record
        endpoints = list(dict.fromkeys(item.endpoint for item in record.targets))
        whose = {item: Ownership("all", labels=(("number", str(at)),)) for at, item in enumerate(endpoints)}
        view = view_of(record, owners=whose)
        assert view.whose_are(ref for cause in view.causes for ref in cause.targets) == ("all",)

    def test_one_owner_who_is_reached_in_two_ways_has_an_action_for_each(self) -> None:
        record = judged_record(4).record
        ways = {
            endpoint: f"way {number}"
            for number, endpoint in enumerate(dict.fromkeys(item.endpoint for item in record.targets))
        }
        view = view_of(record, owners={endpoint: Ownership("all", way) for endpoint, way in ways.items()})
        actions = [item for item in view.actions if item.kind is ActionKind.FIX]
        assert len({item.contact for item in actions}) > 1
        for action in actions:
            assert {ways[ref.endpoint] for ref in action.targets} == {action.contact}
