"""A report is as long as it must be: bounds in pages, for the full edition and for the one that management reads."""

from __future__ import annotations

import dataclasses
import io
import re
import subprocess
from pathlib import Path

import pikepdf
import pytest
from msgspec import structs

from reports.render import ReportProof, render_html, render_pdf
from reports.templating import folders_of
from reports.view import ReportOptions, ReportView, build_view
from reports.view.options import Edition
from reports.view.servers import guessed_servers
from scanner.evidence import Attempt
from scanner.inventory import StartTls
from scanner.rules import all_rules
from scanner.verdict import RunRecord
from tests.build.judged import WAIVERS, judged_record
from tests.build.many import many
from tests.build.servers import program

PROOF = ReportProof("run.json", "ab" * 32)
MAIL = {"exim", "postfix"}  # what the lab's mail server is guessed to be, which says nothing of itself
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
    options = structs.replace(OPTIONS, edition=Edition.MANAGEMENT)
    assert pages(render_pdf(view_of(count, options), proof=PROOF)) <= 4


@pytest.mark.parametrize("gap", [18, 24, 30])
def test_the_room_for_signatures_is_on_one_page(gap: int, tmp_path: Path) -> None:
    """However much of the page is left where it begins."""
    style = (folders_of(None)[-1] / "print.css").read_text("utf-8")
    (tmp_path / "print.css").write_text(f"{style}\npre {{ break-before: avoid; margin-bottom: {gap}mm; }}", "utf-8")
    options = structs.replace(OPTIONS, edition=Edition.MANAGEMENT)
    pdf = render_pdf(view_of(3, options), proof=PROOF, templates=tmp_path)
    pdftotext = program("pdftotext", "poppler-utils")
    text = subprocess.run([pdftotext, "-raw", "-", "-"], input=pdf, check=True, capture_output=True).stdout.decode()
    texts = text.split("\f")
    where = [[word in text for text in texts].index(True) for word in ("Signatures", "Reviewed", "Accepted")]
    assert len(set(where)) == 1, where


def test_a_clause_that_was_not_looked_at_tells_once_how_often() -> None:
    view = view_of(3)
    clauses = [item for policy in view.policies for item in policy.clauses]
    unseen = [item.not_looked_at for item in clauses if not item.looked_at and item.not_looked_at]
    told = re.findall(r'Not checked</span> <span class="times">(\d+)</span></td>', render_html(view))

    assert unseen
    assert sorted(map(int, told)) == sorted(unseen)


def plain(heading: str) -> str:
    """The program that advice is for, without whether it was run there."""
    return heading.partition(" (")[0]


class TestServers:
    """Remedies are told for programs that were seen or configured, and for no others."""

    def names(self, view: ReportView) -> set[str]:
        return {plain(name) for remedy in view.remedies for name, _ in remedy.fix.told}

    def test_that_were_seen(self) -> None:
        view = view_of(3, server="nginx/1.22.1")
        assert set(view.servers) - MAIL == {"nginx"}
        assert "nginx" in self.names(view)
        assert not self.names(view) & {"Apache httpd", "IIS", "Tomcat", "HAProxy"}

    def test_that_are_configured(self) -> None:
        view = view_of(3, structs.replace(OPTIONS, servers=("haproxy",)))
        assert set(view.servers) <= MAIL
        assert "HAProxy" in self.names(view)
        assert "nginx" not in self.names(view)

    def test_come_first_on_screen_which_has_them_all(self) -> None:
        view = view_of(3, structs.replace(OPTIONS, servers=("tomcat",)))
        for cause in view.causes:
            named = [plain(name) for name, _ in cause.fix.servers] if cause.fix else []
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
            ("Caddy", ("caddy",)),
            ("lighttpd/1.4.69", ("lighttpd",)),
            ("squid/5.7", ("squid",)),
            ("awselb/2.0", ("aws",)),
            ("Microsoft-Azure-Application-Gateway/v2", ("azure",)),
            ("Google Frontend", ("google cloud",)),
            ("Jetty(9.4.51)", ("java",)),
            ("not nginx at all", ()),
            ("", ()),
        ],
    )
    def test_are_guessed_from_what_they_say(self, header: str, expected: tuple[str, ...]) -> None:
        assert set(guessed_servers(saying(judged_record(4).record, header))) - MAIL == set(expected)

    @pytest.mark.parametrize(
        ("port", "starttls", "expected"),
        [
            (25, None, ("exim", "postfix")),
            (2525, StartTls.SMTP, ("exim", "postfix")),
            (993, None, ("dovecot",)),
            (636, None, ("openldap",)),
            (15432, StartTls.POSTGRES, ("postgresql",)),
            (6380, None, ("redis",)),
            (8883, None, ("mosquitto",)),
            (443, None, ()),
        ],
    )
    def test_are_guessed_from_protocol_and_port_where_nothing_says_it(
        self, port: int, starttls: StartTls | None, expected: tuple[str, ...]
    ) -> None:
        record = judged_record(1).record
        silent = tuple(
            dataclasses.replace(target, port=port, starttls=starttls, evidence=None) for target in record.targets
        )
        assert guessed_servers(dataclasses.replace(record, targets=silent)) == expected

    def test_what_says_its_name_is_not_guessed_from_its_port(self) -> None:
        record = saying(judged_record(1).record, "nginx")
        talking = [item for item in record.targets if item.evidence and item.evidence.http.value]
        targets = tuple(dataclasses.replace(target, port=6380, starttls=None) for target in talking)
        assert guessed_servers(dataclasses.replace(record, targets=targets)) == ("nginx",)

    def test_advice_that_was_never_run_says_so(self) -> None:
        view = view_of(12, structs.replace(OPTIONS, servers=("aws", "lighttpd")))
        names = {name for remedy in view.remedies for name, _ in remedy.fix.told}
        assert "AWS (from its documentation, not run)" in names
        assert "lighttpd" in names
