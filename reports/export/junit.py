"""JUnit XML, for build servers: a suite for each target, a case for each check.

| verdict | case |
|---|---|
| met | passed |
| not met | failure, its type the severity |
| not met, at the level of a note | passed, with the message in its output |
| not met, waived | skipped, with the waiver |
| does not apply | skipped |
| not assessed | error |
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from reports.view.index import Index
from reports.view.part import part_in_words
from reports.wording import FAILURES
from scanner.evidence import FailureReason
from scanner.verdict import RunRecord, Severity, Status, TargetResult, TargetStatus, Verdict

_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold at all, section 2.2. No host can say it (`scanner.untrusted`), but a configuration can."""


def to_junit(record: RunRecord) -> str:
    """Write a run as JUnit XML."""
    document = JUnitXml("nightseal")
    places = _places(record)
    for target in record.targets:
        suite = TestSuite(_xml(target.id))
        suite.hostname = target.host
        suite.timestamp = f"{record.run.started_at:%Y-%m-%dT%H:%M:%S}"
        suite.add_property("environment", _xml(target.environment))
        suite.add_property("policy", f"{target.policy.id} {target.policy.version}")
        if record.run.part is not None:
            # Of each suite: xUnit's schema has properties nowhere else.
            suite.add_property("part", _xml(part_in_words(record.run.part)))
        unreachable = target.status is TargetStatus.UNREACHABLE
        cases = (_unreachable if unreachable else _cases)(target, places[target.id])
        suite.add_testcases(cases)
        document.append(suite)  # type: ignore[no-untyped-call]  # the library is typed in part
    document.update_statistics()  # type: ignore[no-untyped-call]  # the same
    for suite, target in zip(document, record.targets, strict=True):
        suite.time = round(target.duration_s, 3)
    document.time = round((record.run.finished_at - record.run.started_at).total_seconds(), 3)
    # Jenkins' xUnit plugin refuses a whole file for an attribute of the root that its schema does not have.
    del document._elem.attrib["skipped"]  # noqa: SLF001  # the library writes it, and has no other way to it
    text: bytes = document.tostring()  # type: ignore[no-untyped-call]  # the same
    return text.decode()


def _places(record: RunRecord) -> Mapping[str, str]:
    """What each target is called in the names of its classes, by its id.

    Receivers tell test cases apart, and follow them from run to run, by class and name alone. So a target is called by
    environment, host and port, and by its address only where the name has several: one that moves stays the same.
    """
    index = Index.of(record)
    named = {target.id: f"{target.environment}/{index.ref(target).label}" for target in record.targets}
    times = Counter(named.values())
    return {target: place if times[place] == 1 else target for target, place in named.items()}


def _unreachable(target: TargetResult, place: str) -> list[TestCase]:
    """One error rather than one for each rule: nothing was asked."""
    reason = FAILURES[target.error.reason if target.error else FailureReason.NOT_RUN]
    case = TestCase("reachable", classname=_xml(place))
    case.result = [Error(f"{reason[:1].upper()}{reason[1:]}", type_="unreachable")]
    return [case]


def _cases(target: TargetResult, place: str) -> list[TestCase]:
    return [_case(verdict, place) for verdict in target.verdicts]


def _case(verdict: Verdict, place: str) -> TestCase:
    name = _xml(f"{verdict.rule} {verdict.subject}".strip())
    case = TestCase(name, classname=_xml(f"{place}.{verdict.goal}"))
    if verdict.status is Status.INDETERMINATE:
        case.result = [Error(verdict.message, type_=verdict.reason)]
    elif verdict.status is Status.NOT_APPLICABLE:
        case.result = [Skipped(verdict.message)]
    elif verdict.status is Status.FAIL and verdict.waiver is not None:
        waiver = verdict.waiver
        until = f"waived until {waiver.expires} by {waiver.owner}: {waiver.reason}"
        case.result = [Skipped(_xml(f"{verdict.message} ({until})"))]
    elif verdict.status is Status.FAIL and verdict.severity is Severity.INFO:
        case.system_out = verdict.message
    elif verdict.status is Status.FAIL:
        failure = Failure(verdict.message, type_=verdict.severity.value)
        failure.text = "\n".join(
            (f"observed: {verdict.observed}", f"expected: {verdict.expected}", f"sources: {'; '.join(verdict.sources)}")
        )
        case.result = [failure]
    return case


def _xml(text: str) -> str:
    return _NOT_XML.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
