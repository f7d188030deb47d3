"""Nothing in the report's view contradicts another part of it, or the verdicts."""

from __future__ import annotations

import dataclasses

import pytest

from reports.language import language_of, speaking
from reports.view.enforcement_settings import setting_in_words
from reports.view.index import is_failure
from reports.view.sentences import retell
from scanner.inventory import (
    Application,
    ApplicationKind,
    DomainKey,
    Endpoint,
    Environment,
    EnvironmentKind,
    HttpsLevel,
    Integration,
    IntegrationKind,
    PathSetting,
    Role,
)
from scanner.requirements import requirements_of
from scanner.rules import all_rules
from scanner.verdict import Goal, Severity, Status
from tests.build.judged import judged_record, judged_view
from tests.build.views import judged_as, record_with, view_of


class TestNothingContradicts:
    """What one chapter says is not denied by another."""

    @pytest.mark.parametrize("failing", [False, True])
    def test_what_is_not_required_does_not_apply_at_a_root_as_at_a_path(self, failing: bool) -> None:  # noqa: FBT001  # a parameter of the test
        judged = judged_record(4)
        target = next(item for item in judged.record.targets if item.host == "shop.example.com")
        open_paths = Application(
            "Shop", ApplicationKind.TRADITIONAL_WEB, https=HttpsLevel.NONE, paths=(PathSetting("/p", HttpsLevel.NONE),)
        )
        environments = {
            name: dataclasses.replace(
                item,
                hsts=False,
                force_https_screens=False,
                endpoints=tuple(dataclasses.replace(each, applications=(open_paths,)) for each in item.endpoints),
            )
            for name, item in judged.environments.items()
        }
        first = next(item for item in target.verdicts if item.goal is Goal.ENFORCEMENT)
        calm = dataclasses.replace(first, subject="", status=Status.PASS, waiver=None)
        verdicts = (
            dataclasses.replace(calm, rule="https.active", status=Status.FAIL if failing else Status.PASS),
            dataclasses.replace(
                calm, rule="https.redirect", status=Status.NOT_APPLICABLE, reason="not-required", message="Not here."
            ),
            dataclasses.replace(
                calm, rule="https.path", subject="/p", status=Status.NOT_APPLICABLE, reason="not-required"
            ),
        )
        record = dataclasses.replace(judged.record, targets=(dataclasses.replace(target, verdicts=verdicts),))
        view = view_of(record, environments=environments)
        rows = {row.place: row for matrix in view.matrices for row in matrix.rows}
        root, path = rows["shop.example.com:443/"], rows["shop.example.com:443/p"]
        assert root.requirement == path.requirement == "HTTP or HTTPS"
        assert path.status is Status.NOT_APPLICABLE
        assert root.status is (Status.FAIL if failing else Status.NOT_APPLICABLE)
        assert root.rule == ("https.active" if failing else "https.redirect")

    @pytest.mark.parametrize("night", [1, 4])
    def test_no_place_is_met_beside_a_finding_of_enforcement(self, night: int) -> None:
        judged = judged_record(night)
        view = view_of(judged.record, environments=judged.environments)
        failing = {
            target.id
            for target in judged.record.targets
            for item in target.verdicts
            if item.goal is Goal.ENFORCEMENT and is_failure(item)
        }
        assert failing
        rows = [row for matrix in view.matrices for row in matrix.rows]
        not_met = {ref.id for row in rows if row.status is Status.FAIL for ref in row.targets}
        assert failing <= not_met

    @pytest.mark.parametrize("rule", ["https.redirect-permanent", "https.hsts-max-age", "https.secure-cookies"])
    def test_every_rule_of_enforcement_has_a_row(self, rule: str) -> None:
        judged = judged_record(4)
        target = next(item for item in judged.record.targets if item.host == "shop.example.com")
        calm = tuple(dataclasses.replace(item, status=Status.PASS, waiver=None) for item in target.verdicts)
        failing = tuple(
            dataclasses.replace(item, status=Status.FAIL, severity=Severity.LOW) if item.rule == rule else item
            for item in calm
        )
        record = dataclasses.replace(judged.record, targets=(dataclasses.replace(target, verdicts=failing),))
        view = view_of(record, environments=judged.environments)
        rows = [row for matrix in view.matrices for row in matrix.rows if row.status is Status.FAIL]
        assert [row.rule for row in rows] == [rule]

    @pytest.mark.parametrize(
        ("answered", "expected"),
        [
            (["%(path)s"], ["%(path)s"]),
            (["/", "%(path)s"], ["/", "%(path)s"]),
            (["/"], ["/"]),
            (["/of/no/row", "/x%(path)s"], ["/"]),
        ],
    )
    def test_what_a_back_end_serves_in_plain_stands_where_it_does(
        self, answered: list[str], expected: list[str]
    ) -> None:
        judged = judged_record(4)
        target = next(item for item in judged.record.targets if item.host == "shop.example.com")
        environment = judged.environments[target.environment]
        endpoint = next(item for item in environment.endpoints if item.host == target.host)
        path = next(item.path for item in requirements_of(environment, endpoint) if item.path != "/")
        calm = [dataclasses.replace(item, status=Status.PASS, waiver=None) for item in target.verdicts]
        served = dataclasses.replace(
            next(item for item in calm if item.goal is Goal.ENFORCEMENT),
            rule="https.always",
            subject="",
            status=Status.FAIL,
            severity=Severity.CRITICAL,
            observed=", ".join(f"{item % {'path': path}}: 200 application/json" for item in answered),
        )
        verdicts = (*(item for item in calm if item.rule != "https.always"), served)
        record = dataclasses.replace(judged.record, targets=(dataclasses.replace(target, verdicts=verdicts),))
        view = view_of(record, environments=judged.environments)

        found = [row.place for matrix in view.matrices for row in matrix.rows if row.status is Status.FAIL]
        assert found == [target.address + item % {"path": path} for item in expected]

    def test_a_certificate_that_ended_is_one_finding(self) -> None:
        ended = dict.fromkeys(("cert.valid-now", "cert.expiry"), "expired")
        verdicts = [
            dataclasses.replace(judged_as(rule, Status.FAIL), reason=reason, subject="aa")
            for rule, reason in ended.items()
        ]
        assert [cause.rule for cause in view_of(record_with(*verdicts)).causes] == ["cert.valid-now"]
        assert [cause.rule for cause in view_of(record_with(verdicts[1])).causes] == ["cert.expiry"]

    def test_every_line_that_can_decide_has_words(self) -> None:
        kinds = (ApplicationKind.PWA, ApplicationKind.TRADITIONAL_WEB)
        applications = tuple(
            Application(
                f"{kind}-{forced}",
                kind,
                https=HttpsLevel.TLS if forced else HttpsLevel.NONE,
                force_https_screens=forced,
                force_https_integrations=forced,
                paths=(PathSetting("/p", HttpsLevel.TLS),),
                integrations=(Integration("/i", IntegrationKind.REST, HttpsLevel.TLS),),
            )
            for kind in kinds
            for forced in (True, False)
        )
        lines = set()
        settings_said: dict[str, str] = {}
        for settings in ({}, {"hsts": True}, {"force_https_screens": True}, {"force_https_integrations": True}):
            for role, implied_by in (
                (Role.APPLICATION, None),
                (Role.MONITORING, None),
                (Role.APPLICATION, DomainKey.DEFAULT),
            ):
                for found in ((), *((item,) for item in applications)):
                    endpoint = Endpoint("e", "a.example", 443, role, 80, None, found, implied_by=implied_by)
                    environment = Environment("e", EnvironmentKind.PAAS, (endpoint,), **settings)  # type: ignore[arg-type]  # passed through
                    for item in requirements_of(environment, endpoint):
                        lines |= {item.decided_by, *item.overridden}
                        settings_said[item.decided_by] = item.setting
        assert len(lines) > 12
        assert [line for line in lines if setting_in_words(line) == line] == []
        assert {line: setting_in_words(line) for line in settings_said} == settings_said, "as the rules say it"
        with speaking(language_of("pt")):
            said = {line: setting_in_words(line) for line in settings_said}
            assert {line: setting_in_words(words) for line, words in settings_said.items()} == said
        assert not set(said.values()) & set(settings_said.values())

    def test_the_matrix_says_settings_in_words(self) -> None:
        """Whoever reads the report does not have the configuration: no row quotes a line of it."""
        rows = [row for matrix in judged_view().matrices for row in matrix.rows]
        said = {row.decided_by for row in rows if row.decided_by}
        assert said
        assert not [text for text in said if "[[" in text or " = " in text]
        assert not [row.explanation for row in rows if "[[" in row.explanation]

    def test_what_an_older_version_quoted_is_said_in_words(self) -> None:
        rule = all_rules()["https.path"]
        text = "/a is served over plain HTTP: HTTP 200. HTTPS is demanded by [[environment]] e: hsts = true."
        assert retell(rule, "served-in-plain", text) == (
            "/a is served over plain HTTP: HTTP 200. HTTPS is required by environment e: HSTS for every page."
        )
        with speaking(language_of("pt")):
            now = "/a is served over plain HTTP: HTTP 200. HTTPS is required by environment e: HSTS for every page."
            assert retell(rule, "served-in-plain", text) == retell(rule, "served-in-plain", now)
            assert "ambiente e: " in retell(rule, "served-in-plain", now)
