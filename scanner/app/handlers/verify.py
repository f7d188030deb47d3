"""`nightseal verify`: whether a signed report is what was signed, and by whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import click

from reports.export.json.v1 import counted_as
from reports.verification import NotAReportError, load_roots, verify_pdf
from scanner.app.handlers.lines import line
from scanner.app.handlers.verify_replay import replayed
from scanner.app.signing import LARGEST_PDF, read_bounded
from scanner.counting import counted, said_of_counts
from scanner.errors import UsageError
from scanner.jobs.exit_status import ExitStatus
from scanner.untrusted import printable
from scanner.verdict import CountedAs

if TYPE_CHECKING:
    from reports.export.json.v1_model import Report
    from reports.verification import SignatureCheck, Verification

_LARGEST_PEM: Final = 16 << 20


class Against(Protocol):
    """Compares a report with something else: lines to print, and what is wrong."""

    def __call__(self, pdf: bytes, report: Report, /, *, signer: str | None) -> tuple[list[str], list[str]]:
        """Compare; `signer` is whom the first signature names."""


def verify(  # noqa: PLR0913  # the options of the command
    file: Path,
    trust: Path | None,
    policy_name: str | None,
    config_path: Path,  # noqa: ARG001  # asked for where there is a history to compare with, which is done instead
    *,
    with_history: bool,  # noqa: ARG001  # the same
    replay: bool,
    quiet: bool,
) -> int:
    """Verify the signature of a report's PDF, and the data that it carries."""
    return verified(file, trust, policy_name, replay=replay, quiet=quiet)


def verified(  # noqa: PLR0913  # the options of the command
    file: Path,
    trust: Path | None,
    policy_name: str | None,
    against: Against | None = None,
    *,
    replay: bool,
    quiet: bool,
) -> int:
    """The same; where there is something that it is compared with, `against` does that."""
    if policy_name and not replay:
        raise UsageError("--policy judges the evidence again: add --replay")
    roots = load_roots(read_bounded(trust, _LARGEST_PEM), source=str(trust)) if trust else ()
    pdf = read_bounded(file, LARGEST_PDF)
    if replay and not pdf.startswith(b"%PDF-"):
        return _replay_alone(file, pdf, policy_name, quiet=quiet)
    try:
        found = verify_pdf(pdf, roots=roots)
    except NotAReportError as error:
        raise UsageError(f"{file}: {error}") from error
    problems = list(found.problems)
    lines = [line for signature in found.signatures for line in _signature_lines(signature)]
    if found.report is not None:
        lines += _data_lines(found, found.report)
        for told, differing in _comparisons(found, pdf, against, policy_name, replay=replay):
            lines += told
            problems += differing
    signed = bool(found.signatures)
    valid = (found.valid or not signed) and not problems
    if not quiet:
        for line in lines:
            click.echo(line)
    for problem in (*(item for signature in found.signatures for item in signature.problems), *problems):
        click.echo(f"Problem: {problem}", err=True)
    if not quiet:
        known = "Valid." if trust else "Valid, but the signer's identity was not checked."
        unsigned = "Unsigned: the data are complete, but no signature vouches for them."
        click.echo((known if signed else unsigned) if valid else "Not valid.")
    return ExitStatus.OK if valid and signed else ExitStatus.FAILED


def _comparisons(
    found: Verification, pdf: bytes, against: Against | None, policy_name: str | None, *, replay: bool
) -> Iterator[tuple[list[str], list[str]]]:
    """What the report is compared with, as asked for: lines to print, and what is wrong."""
    if found.report is None:
        return
    if against is not None:
        signer = found.signatures[0].signer if found.signatures else None
        yield against(pdf, found.report, signer=signer)
    if replay:
        yield replayed(found.evidence, found.report, policy_name)


def _replay_alone(file: Path, data: bytes, policy_name: str | None, *, quiet: bool) -> int:
    """Judge a file of `--format evidence` again."""
    try:
        lines, differing = replayed(data, None, policy_name)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error
    if not quiet:
        for told in lines:
            click.echo(told)
    for problem in differing:
        click.echo(f"Problem: {problem}", err=True)
    return ExitStatus.FAILED if differing else ExitStatus.OK


def _signature_lines(signature: SignatureCheck) -> Iterator[str]:
    when = f"{signature.signed_at:%Y-%m-%d %H:%M:%S %Z}, by the signer's clock" if signature.signed_at else "no time"
    yield line("Signed by", f"{signature.signer} ({when})")
    if signature.stamped_at is not None:
        yield line("Time stamp", f"{signature.stamped_at:%Y-%m-%d %H:%M:%S %Z}, by a third party's clock")
    if signature.long_term:
        yield line("Lasts", "the file shows that no certificate was revoked then (PAdES B-LT)")
    vouched = {
        None: "not checked: use --trust to name the signer's certificate authorities",
        True: "leads to a trusted root",
        False: "leads to no trusted root",
    }[signature.trusted]
    yield line("Identity", f"{vouched} (serial {signature.serial}, issued by {signature.issuer})")
    yield line("Covers", "the whole file" if signature.whole_file else "not the whole file")


def _data_lines(found: Verification, report: Report) -> Iterator[str]:
    run, summary = report.run, report.summary
    yield line("Run", f"{printable(run.id)}, {run.started_at:%Y-%m-%d %H:%M} UTC, Nightseal {report.tool.version}")
    yield line("Policy", f"{printable(run.policy.id)} {printable(run.policy.version)} {run.policy.digest}".rstrip())
    yield line("Data", f"SHA-256 {found.digest}")
    yield line(
        "Counts",
        f"{counted(summary.targets, 'target')}: {_counts(report)}",
    )


def _counts(report: Report) -> str:
    """Counted from the verdicts themselves: an older report's summary does not tell notes from what is not met."""
    numbers = Counter(counted_as(verdict) for target in report.targets for verdict in target.verdicts)
    return said_of_counts(
        not_met=numbers[CountedAs.NOT_MET],
        notes=numbers[CountedAs.NOTE],
        waived=numbers[CountedAs.WAIVED],
        not_assessed=numbers[CountedAs.NOT_ASSESSED],
        met=numbers[CountedAs.MET],
        does_not_apply=numbers[CountedAs.DOES_NOT_APPLY],
    )
