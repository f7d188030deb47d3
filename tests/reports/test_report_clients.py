"""The chapter on who cannot connect."""

from __future__ import annotations

import dataclasses

import pytest
from msgspec import structs

from reports.layout import PAPER
from reports.render import _render, render_html
from reports.view import ReportView, clients
from reports.view.clients import clients_of
from reports.view.index import Index
from scanner.clients import all_clients
from scanner.evidence import Attempt, FailureReason, Protocol, ProtocolOffer
from scanner.verdict import RunRecord
from tests.build.facts import tls
from tests.build.judged import judged_record, judged_view


def record(*seen: object) -> RunRecord:
    """As many targets as there is evidence of TLS for."""
    made = judged_record(max(4, len(seen))).record
    targets = tuple(
        dataclasses.replace(target, evidence=dataclasses.replace(target.evidence, tls=found))
        for target, found in zip(made.targets, seen, strict=False)
    )
    return dataclasses.replace(made, targets=targets)


ONLY_TLS13 = tls(
    protocols={
        **{protocol: Attempt.ok(ProtocolOffer()) for protocol in Protocol},
        Protocol.TLS1_3: tls().protocols[Protocol.TLS1_3],
    }
)


def html_for_paper(view: ReportView) -> str:
    """What is laid out as a PDF, without the laying out."""
    return _render(view, PAPER, None)


def test_who_is_cut_off_is_told_with_why_and_where() -> None:
    found = clients_of(Index.of(record(Attempt.ok(ONLY_TLS13), Attempt.ok(tls()))))

    assert found is not None
    assert found.targets == 2
    core = [client for client in all_clients().values() if client.core]
    assert found.clients == len(core)
    cut_off = {view.title: view for view in found.cut_off if len(view.targets) == 1}
    ie11 = all_clients()["ie11-win7"].title
    assert cut_off[ie11].why == "no common protocol version"
    assert found.everywhere + found.unclear + len({view.title for view in found.cut_off}) == found.clients
    standing = [view.supported is False for view in found.cut_off]
    assert standing == sorted(standing), "those that are supported come first"


def test_what_was_not_seen_is_unclear_and_cuts_nobody_off() -> None:
    half = tls(protocols={**tls().protocols, Protocol.TLS1_2: Attempt.failed(FailureReason.TIMED_OUT)})
    found = clients_of(Index.of(record(Attempt.ok(half))))

    assert found is not None
    assert found.unclear
    assert clients_of(Index.of(record(Attempt.failed(FailureReason.REFUSED)))) is None


def test_a_large_run_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "MOST_TARGETS", 1)
    assert clients_of(Index.of(record(Attempt.ok(tls()), Attempt.ok(tls())))) is None


def test_the_page_has_the_chapter_with_the_unsupported_collapsed() -> None:
    found = clients_of(Index.of(record(Attempt.ok(ONLY_TLS13))))
    assert found is not None
    view = structs.replace(judged_view(), clients=found)
    chapter = render_html(view).partition('<section id="clients"')[2].partition("</section>")[0]
    shown, _, collapsed = chapter.partition("<details")
    alive = {item.title for item in found.cut_off if item.supported is not False}
    old = {item.title for item in found.cut_off if item.supported is False}
    assert all(title in collapsed and title not in shown for title in old - alive)
    assert all(title in shown for title in alive)
    assert 'href="#clients"' in render_html(view)
    assert 'id="clients"' not in render_html(structs.replace(view, clients=None))


def test_on_paper_each_reason_is_told_once_with_all_whom_it_cuts_off() -> None:
    found = clients_of(Index.of(record(Attempt.ok(ONLY_TLS13), Attempt.ok(ONLY_TLS13), Attempt.ok(tls()))))
    assert found is not None
    assert len(found.alive_by_cause) < len(found.alive)
    view = structs.replace(judged_view(), clients=found)
    paper = html_for_paper(view)
    chapter = paper.partition('<section id="clients"')[2].partition("</section>")[0]
    for why, _, titles in found.alive_by_cause:
        assert (chapter.count(why), "; ".join(titles) in chapter) == (1, True)
    assert all(item.title in chapter for item in found.old)
    assert "<details" not in chapter
    assert 'id="clients"' not in html_for_paper(structs.replace(view, clients=None))


def test_reasons_that_paper_has_no_room_for_are_counted() -> None:
    found = clients_of(Index.of(record(Attempt.ok(ONLY_TLS13))))
    assert found is not None
    (one, *_) = found.alive
    many = tuple(structs.replace(one, why=f"reason {number}") for number in range(PAPER.places + 3))
    paper = html_for_paper(structs.replace(judged_view(), clients=structs.replace(found, cut_off=many)))
    assert f"reason {PAPER.places - 1}<" in paper
    assert f"reason {PAPER.places}<" not in paper
    assert "3 more reasons are in the HTML report." in paper
