"""`nightseal verify`: whether a signed report is what was signed, and by whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from scanner.app import options
from scanner.app.signing import LARGEST_PDF, read_bounded
from scanner.errors import UsageError
from scanner.jobs.exit_status import ExitStatus
from scanner.untrusted import printable

if TYPE_CHECKING:
    from reports.export.json_v1 import Report
    from reports.verification import SignatureCheck, Verification

_LARGEST_PEM: Final = 16 << 20
_WIDTH: Final = 11


@click.command("verify")
@click.argument("file", metavar="FILE.pdf", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--trust",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PEM",
    help="Who may vouch for the signer: CAs, or the signer's own certificate.",
)
@click.option("--history", "with_history", is_flag=True, help="Compare with the run in the history of --config too.")
@options.config_option
@options.quiet_option
def command(file: Path, trust: Path | None, config_path: Path, *, with_history: bool, quiet: bool) -> int:
    """Verify the signature of a report's PDF, and the data that it carries.

    Without --trust anybody may have signed. With --history the verdicts are compared with those of the same run there,
    and its PDF is drawn again to compare the pages. Exit status: 0 valid, 1 not valid, 2 no report of Nightseal.

    \b
    Examples:
      nightseal verify out/20261124T020000Z-4d5e6f.pdf --trust ca.pem
      nightseal verify report.pdf --history
    """
    from reports.verification import NotAReportError, load_roots, verify_pdf  # noqa: PLC0415  # it loads pyHanko

    roots = load_roots(read_bounded(trust, _LARGEST_PEM), source=str(trust)) if trust else ()
    pdf = read_bounded(file, LARGEST_PDF)
    try:
        found = verify_pdf(pdf, roots=roots)
    except NotAReportError as error:
        raise UsageError(f"{file}: {error}") from error
    problems = list(found.problems)
    lines = [line for signature in found.signatures for line in _signature_lines(signature)]
    if found.report is not None:
        lines += _data_lines(found, found.report)
        if with_history:
            compared, differing = _against_history(pdf, found.report, config_path)
            lines += compared
            problems += differing
    valid = found.valid and not problems
    if not quiet:
        for line in lines:
            click.echo(line)
    for problem in (*(item for signature in found.signatures for item in signature.problems), *problems):
        click.echo(f"Problem: {problem}", err=True)
    if not quiet:
        known = "Valid." if trust else "Valid, but who signed it was not checked."
        click.echo(known if valid else "Not valid.")
    return ExitStatus.OK if valid else ExitStatus.FAILED


def _line(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}}{text}"


def _signature_lines(signature: SignatureCheck) -> Iterator[str]:
    when = f"{signature.signed_at:%Y-%m-%d %H:%M:%S %Z}, by the signer's clock" if signature.signed_at else "no time"
    yield _line("Signed by", f"{signature.signer} ({when})")
    vouched = {
        None: "not checked: name who may vouch for the signer by --trust",
        True: "leads to a trusted root",
        False: "leads to no trusted root",
    }[signature.trusted]
    yield _line("Identity", f"{vouched} (serial {signature.serial}, issued by {signature.issuer})")
    yield _line("Covers", "the whole file" if signature.whole_file else "not the whole file")


def _data_lines(found: Verification, report: Report) -> Iterator[str]:
    run, summary = report.run, report.summary
    yield _line("Run", f"{printable(run.id)}, {run.started_at:%Y-%m-%d %H:%M} UTC, Nightseal {report.tool.version}")
    yield _line("Policy", f"{printable(run.policy.id)} {printable(run.policy.version)} {run.policy.digest}".rstrip())
    yield _line("Data", f"SHA-256 {found.digest}")
    yield _line(
        "Counts",
        f"{summary.targets} targets: {summary.pass_} passed, {summary.fail} failed ({summary.waived} waived), "
        f"{summary.not_applicable} not applicable, {summary.indeterminate} indeterminate",
    )


def _against_history(pdf: bytes, report: Report, config_path: Path) -> tuple[list[str], list[str]]:
    """Compare with the run as the history has it; lines to print, and what is wrong.

    Pages that are drawn otherwise are no fault by themselves: another version of Nightseal, of a library or of the
    configuration draws them otherwise too.
    """
    from reports.export.json_v1 import report_of  # noqa: PLC0415  # only where it is asked for
    from scanner import config as configuration  # noqa: PLC0415  # the same
    from scanner.app.commands.report import rendering_of_environment  # noqa: PLC0415  # the same
    from scanner.app.history_access import open_history  # noqa: PLC0415  # the same
    from scanner.jobs.output import render  # noqa: PLC0415  # the same

    history = open_history(config_path)
    record = history.record(report.run.id)
    (environment,) = report.run.environments if len(report.run.environments) == 1 else (None,)
    rendering = rendering_of_environment(configuration.load(config_path), history, record, environment)
    told = {target.id: target.verdicts for target in report.targets}
    kept = {target.id: target.verdicts for target in report_of(rendering.record).targets}
    differing = sorted(name for name in {*told, *kept} if told.get(name) != kept.get(name))
    if differing:
        return [], [f"the history has other verdicts for {len(differing)} targets, {printable(differing[0])} first"]
    same = pdf.startswith(render(rendering, "pdf"))
    pages = "byte for byte as they are drawn from it now" if same else "drawn otherwise from it now, by this version"
    return [_line("History", "the same verdicts"), _line("Pages", pages)], []
