"""A report is as long as it must be: bounds in pages, for the full edition and for the one that management reads."""

from __future__ import annotations

import dataclasses
import io

import pikepdf
import pytest

from reports.render import Proof, render_pdf
from reports.view import ReportOptions, ReportView, build_view
from reports.view.options import Edition
from reports.view.servers import guessed_servers
from scanner.evidence import Attempt
from scanner.rules import all_rules
from scanner.verdict import RunRecord
from tests.build.judged import WAIVERS, judged_record
from tests.build.many import many

PROOF = Proof("run.json", "ab" * 32)
OPTIONS = ReportOptions(organisation="Example Ltd", prepared_by="Jane Doe", vantage="dmz-scanner-1", sign_off=True)


def view_of(count: int, options: ReportOptions = OPTIONS, *, server: str = "") -> ReportView:
    judged = many(judged_record(4), count)
    return build_view(
        saying(judged.record, server),
        rules=all_rules(),
        environments=judged.environments,
        policies=judged.policies,
        waivers=WAIVERS,
        options=options,
    )


def saying(record: RunRecord, server: str) -> RunRecord:
    """The run, with servers that say what program they are."""
    targets = []
    for target in record.targets:
        http = target.evidence.http.value if target.evidence else None
        if target.evidence is None or http is None:
            targets.append(target)
            continue
        probes = tuple(
            dataclasses.replace(probe, hops=tuple(dataclasses.replace(hop, server=server) for hop in probe.hops))
            for probe in http.probes
        )
        evidence = dataclasses.replace(target.evidence, http=Attempt.ok(dataclasses.replace(http, probes=probes)))
        targets.append(dataclasses.replace(target, evidence=evidence))
    return dataclasses.replace(record, targets=tuple(targets))


def pages(pdf: bytes) -> int:
    return len(pikepdf.open(io.BytesIO(pdf)).pages)


def test_twenty_five_targets_take_twenty_pages() -> None:
    assert pages(render_pdf(view_of(25), proof=PROOF)) <= 20


@pytest.mark.parametrize("count", [3, 300])
def test_management_reads_four_pages(count: int) -> None:
    options = dataclasses.replace(OPTIONS, edition=Edition.MANAGEMENT)
    assert pages(render_pdf(view_of(count, options), proof=PROOF)) <= 4


class TestServers:
    """Remedies are told for programs that were seen or configured, and for no others."""

    def names(self, view: ReportView) -> set[str]:
        return {name for remedy in view.remedies for name, _ in remedy.fix.told}

    def test_that_were_seen(self) -> None:
        view = view_of(3, server="nginx/1.22.1")
        assert view.servers == ("nginx",)
        assert "nginx" in self.names(view)
        assert not self.names(view) & {"Apache httpd", "IIS", "Tomcat", "HAProxy"}

    def test_that_are_configured(self) -> None:
        view = view_of(3, dataclasses.replace(OPTIONS, servers=("haproxy",)))
        assert view.servers == ()
        assert "HAProxy" in self.names(view)
        assert "nginx" not in self.names(view)

    def test_come_first_on_screen_which_has_them_all(self) -> None:
        view = view_of(3, dataclasses.replace(OPTIONS, servers=("tomcat",)))
        for cause in view.causes:
            named = [name for name, _ in cause.fix.servers] if cause.fix else []
            if "Tomcat" in named:
                assert named[0] == "Tomcat"
                assert "nginx" in named

    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            ("nginx", ("nginx",)),
            ("openresty/1.21", ("nginx",)),
            ("Apache/2.4.57 (Debian)", ("apache",)),
            ("Apache-Coyote/1.1", ("tomcat",)),
            ("Microsoft-IIS/10.0", ("iis",)),
            ("not nginx at all", ()),
            ("", ()),
        ],
    )
    def test_are_guessed_from_what_they_say(self, header: str, expected: tuple[str, ...]) -> None:
        assert guessed_servers(saying(judged_record(4).record, header)) == expected
