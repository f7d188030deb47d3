"""In which order the workers of a parallel run take the groups of tests (`--dist loadgroup --no-loadscope-reorder`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from operator import itemgetter
from typing import Final

import pytest

SECONDS: Final[Mapping[str, float]] = {
    "chromium": 70,
    "lab-test_fleet": 70,
    "packaging": 60,
    "test_resume": 60,
    "lab-test_handshake": 45,
    "whole-lab": 45,
    "test_daemon_kills": 40,
    "lab-test_manners": 20,
    "lab-test_partial": 25,
    "lab-test_breach": 12,
    "lab-test_dispatch": 30,
    "lab-test_documented_scans": 35,
    "report-pdf": 30,
    "test_daemon_clock": 30,
    "lab-test_alpaca": 25,
    "parity": 25,
    "reports-test_report_length": 25,
    "history-commands": 25,
    "documented-commands": 20,
    "history-crash": 20,
    "history-test_history_questions": 20,
    "reports-test_reports_streamed": 20,
    "test_daemon": 15,
    "hostile-waited-for": 25,
    "hostile-": 12,
    "lab-test_attacks_beside_tls13": 15,
    "lab-test_dns_signed": 15,
    "lab-test_lab_servers": 15,
    "lab-test_lab_lifecycle": 10,
    "lab-test_mail_domain": 12,
    "lab-test_python_api": 15,
    "lab-test_slow_answers_to_attacks": 15,
    "report-listing": 12,
    "reports-test_one_run_in_ten_places": 15,
    "reports-test_report_exports": 15,
    "reports-test_report_signature": 15,
    "rule-fixes": 15,
    "tutorial": 15,
    "unit-test_rules_partial": 4,
    "history-test_report_history": 15,
    "history-test_site": 15,
    "reports-test_evidence_file": 12,
    "golden": 12,
    "test_daemon_notify": 11,
    "test_daemon_watched": 10,
    "unit-test_contradictory_verdicts": 8,
    "test_daemon_belongings": 8,
    "test_daemon_disks": 7,
    "test_engines": 6,
    "test_secrets": 6,
    "docs-site": 6,
    "history-": 6,
    "reports-": 6,
    "unit-test_judging_in_pieces": 5,
    "unit-test_glossary": 5,
    "lab-": 4,
    "test_commands": 4,
    "test_upgrade": 4,
    "test_partial_reports": 3,
    "test_hints": 3,
    "test_kept_results": 3,
    "test_start": 2,
    "test_programs": 5,
    "test_docs_site": 0.1,
    "test_output_places": 1,
    "unit-": 0.7,
}
"""How long one worker has to do with a group of tests, or with a test of a module whose tests are no group; others: a second.

Of a quiet machine with two processors, and rough: what takes longest is to begin first, and no worker to be alone with it
in the end. A name that ends with a dash stands for all that begin so.
"""
WAITING: Final = frozenset({"acceptance", "lab", "servers"})
COMPUTING: Final = frozenset({"parity", "rule-fixes", "whole-lab"})
"""Folders whose tests wait more than they compute: for servers, for services, for time; and groups that are none of those.

There are more workers than processors. Where both kinds are under way all the time, some use the processors while others
wait. One kind after the other leaves the processors idle first, and has the workers queue for them afterwards.
"""


def in_turn(items: list[pytest.Item]) -> list[pytest.Item]:
    """The longest first, and at any time as large a part of what waits as of what computes."""
    groups: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        marked = item.get_closest_marker("xdist_group")
        groups[marked.args[0] if marked else item.nodeid].append(item)
    ordered = sorted(groups.values(), key=_seconds, reverse=True)
    kinds = [[group for group in ordered if _waits(group) is kind] for kind in (True, False)]
    placed: list[tuple[float, list[pytest.Item]]] = []
    for kind in kinds:
        whole, begun = sum(map(_seconds, kind)), 0.0
        for group in kind:
            placed.append((begun / whole, group))
            begun += _seconds(group)
    return [item for _, group in sorted(placed, key=itemgetter(0)) for item in group]


def _name(item: pytest.Item) -> str:
    marked = item.get_closest_marker("xdist_group")
    return str(marked.args[0]) if marked else item.path.stem


def _seconds(group: list[pytest.Item]) -> float:
    name = _name(group[0])
    known = [key for key in SECONDS if key == name or (key.endswith("-") and name.startswith(key))]
    return SECONDS[max(known, key=len)] if known else 1.0


def _waits(group: list[pytest.Item]) -> bool:
    return group[0].path.parent.name in WAITING and _name(group[0]) not in COMPUTING
