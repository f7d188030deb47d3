"""The command line itself: help that loads nothing heavy, statuses, and errors that end as one message."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import jsonschema
import pytest

from scanner.app.cli import COMMANDS, cli, run
from scanner.errors import UsageError
from scanner.formats import load
from scanner.jobs import exit_status
from scanner.jobs.exit_status import ExitStatus
from scanner.jobs.output import formats_of
from scanner.verdict import RunRecord, Severity, Status, TargetStatus
from tests.build.records import sample_record


def all_commands() -> list[tuple[str, click.Command]]:
    found = []
    for name, entry in COMMANDS.items():
        command = importlib.import_module(entry.module).command
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {child}", command.commands[child]) for child in command.commands]
    return found


@pytest.mark.parametrize(("name", "command"), all_commands(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_explains_itself_with_examples(name: str, command: click.Command) -> None:
    text = command.help or ""

    assert text.rstrip().splitlines()[0].endswith(".")
    if not isinstance(command, click.Group):
        assert f"nightseal {name.partition(' ')[0]}" in text, "an example"
    if name in COMMANDS:
        assert "\\b" not in text, "the character, not its name"
        assert COMMANDS[name].summary == text.splitlines()[0], "the table and the command say the same"


def leaf_commands() -> list[tuple[str, click.Command]]:
    return [(name, command) for name, command in all_commands() if not isinstance(command, click.Group)]


@pytest.mark.parametrize(
    ("name", "command"), leaf_commands(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_does_a_command_takes_its_options(name: str, command: click.Command) -> None:
    """A command is declared in one module and done in another: neither may know an option that the other lacks."""
    done = load(command.callback.done_by)

    assert set(inspect.signature(done).parameters) == {option.name for option in command.params}, name
    assert (done.__doc__ or "").splitlines()[0] == (command.help or "").splitlines()[0]
    for option, reference in command.callback.instead.items():
        names = {option.name for option in command.params}
        kinds = inspect.signature(load(reference)).parameters.values()
        assert option in names
        assert {kind.name for kind in kinds if kind.kind is not kind.VAR_KEYWORD} <= names


def test_few_imports_stand_in_functions() -> None:
    """Each is a seam at which something heavy loads; a table (of commands, of formats) needs one for all its lines."""
    sources = [path for folder in ("scanner", "reports") for path in Path(folder).rglob("*.py")]
    seams = [f"{path}:{line}" for path in sources for line in path.read_text("utf-8").splitlines() if "PLC0415" in line]

    assert 0 < len(seams) <= 15, seams


def test_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scna"]) == ExitStatus.USAGE
    assert 'did you mean "scan"?' in capsys.readouterr().err
    assert run(["scan"]) == ExitStatus.USAGE
    assert run(["scan", "a.example", "--fail-on", "terrible"]) == ExitStatus.USAGE
    assert run(["scan", "a.example", "--deadline", "soon"]) == ExitStatus.USAGE
    assert run(["scan", "a.example:99999"]) == ExitStatus.USAGE
    assert "the port must be a number" in capsys.readouterr().err


def test_an_unexpected_error_is_the_tools_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(cli, "main", broken)

    assert run(["policy", "list"]) == ExitStatus.INTERNAL
    assert capsys.readouterr().err.startswith("nightseal: Nightseal itself failed: ZeroDivisionError: by zero")


def with_verdicts(record: RunRecord, status: Status, severity: Severity, *, waived: bool = False) -> RunRecord:
    """The record with every verdict made one of this status and severity, and every target assessed."""
    waiver = next(verdict.waiver for verdict in record.verdicts if verdict.waiver)
    targets = tuple(
        dataclasses.replace(
            target,
            status=TargetStatus.ASSESSED,
            verdicts=tuple(
                dataclasses.replace(verdict, status=status, severity=severity, waiver=waiver if waived else None)
                for verdict in target.verdicts
            ),
        )
        for target in record.targets
    )
    return dataclasses.replace(record, targets=targets, run=dataclasses.replace(record.run, complete=True))


def test_exit_statuses_of_a_run() -> None:
    record = sample_record()
    medium = Severity.MEDIUM

    assert exit_status.of(with_verdicts(record, Status.PASS, Severity.CRITICAL), medium) == ExitStatus.OK
    assert exit_status.of(with_verdicts(record, Status.FAIL, Severity.MEDIUM), medium) == ExitStatus.FAILED
    assert exit_status.of(with_verdicts(record, Status.FAIL, Severity.LOW), medium) == ExitStatus.OK
    assert exit_status.of(with_verdicts(record, Status.FAIL, Severity.HIGH, waived=True), medium) == ExitStatus.OK
    assert exit_status.of(with_verdicts(record, Status.INDETERMINATE, Severity.HIGH), medium) == ExitStatus.NOT_ASSESSED
    assert exit_status.of(with_verdicts(record, Status.INDETERMINATE, Severity.INFO), medium) == ExitStatus.OK


def test_a_target_that_was_not_reached_is_not_well() -> None:
    record = with_verdicts(sample_record(), Status.PASS, Severity.HIGH)
    unreachable = dataclasses.replace(record.targets[0], status=TargetStatus.UNREACHABLE, verdicts=())

    assert exit_status.of(dataclasses.replace(record, targets=(unreachable, *record.targets[1:])), Severity.LOW) == 3
    assert exit_status.of(dataclasses.replace(record, targets=()), Severity.LOW) == ExitStatus.NOT_ASSESSED


def test_an_interrupted_run_says_so() -> None:
    record = sample_record()
    interrupted = dataclasses.replace(record, run=dataclasses.replace(record.run, complete=False))

    assert exit_status.of(interrupted, Severity.LOW) == ExitStatus.INTERRUPTED


def test_config_init_check_and_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert run(["config", "check"]) == ExitStatus.USAGE
    assert "nightseal config init" in capsys.readouterr().err
    assert run(["config", "init"]) == ExitStatus.OK
    assert run(["config", "init"]) == ExitStatus.USAGE, "never overwritten"
    assert run(["config", "check"]) == ExitStatus.OK
    capsys.readouterr()
    assert run(["config", "schema"]) == ExitStatus.OK
    jsonschema.Draft202012Validator.check_schema(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "nothing is configured to be scanned"),
        ('[nightseal]\npolicy = "mozila-modern"\n', "nothing is configured"),
        (
            '[nightseal]\npolicy = "mozila-modern"\n[[environment]]\nname = "e"\nkind = "paas"\n'
            '[[environment.endpoint]]\nhost = "a.example"\n',
            'there is no policy "mozila-modern" (did you mean "mozilla-modern"?)',
        ),
        (
            '[[environment]]\nname = "e"\nkind = "paas"\n[[environment.endpoint]]\nhost = "a.example"\n'
            '[[schedule]]\nname = "s"\ncron = "every night"\n',
            "schedule[s].cron",
        ),
    ],
)
def test_config_check_refuses(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text(text)

    assert run(["config", "check"]) == ExitStatus.USAGE
    assert message in capsys.readouterr().err


def test_waivers_that_can_never_waive_are_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    soon, past = (datetime.now(UTC).date() + timedelta(days=days) for days in (100, -1))
    rest = f'reason = "r"\nowner = "o"\nexpires = {soon}\n'
    Path("config.toml").write_text(
        '[[environment]]\nname = "e"\nkind = "paas"\n[[environment.endpoint]]\nhost = "a.example"\n'
        f'[[waiver]]\nrule = "proto.no-tls11"\nscope = "e"\n{rest}'
        f'[[waiver]]\nrule = "proto.*"\nscope = "other/*"\n{rest}'
        f'[[waiver]]\nrule = "proto.*"\nscope = "e"\nreason = "r"\nowner = "o"\nexpires = {past}\n'
    )

    assert run(["config", "check"]) == ExitStatus.OK
    err = capsys.readouterr().err
    assert 'waiver[1].rule: there is no rule "proto.no-tls11" (did you mean "proto.no-tls1.1"?)' in err
    assert 'waiver[2].scope: "other/*" covers no configured endpoint' in err
    assert f"waiver[3].expires: it expired on {past} and no longer has any effect" in err


def test_explain_and_policy_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "cert.expiry"]) == ExitStatus.OK
    out = capsys.readouterr().out
    for part in ("cert.expiry: ", "Protects: authenticity", "Why\n", "Sources\n", "Parameters\n", "Fix\n"):
        assert part in out
    assert run(["explain", "cert.expriy"]) == ExitStatus.USAGE
    assert 'did you mean "cert.expiry"?' in capsys.readouterr().err
    assert run(["policy", "show", "mozilla-modern"]) == ExitStatus.OK
    assert "proto.tls1.3" in capsys.readouterr().out


def test_config_explain_names_the_line_that_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text(
        '[[environment]]\nname = "e"\nkind = "paas"\nforce_https_screens = true\n'
        '[[environment.application]]\nname = "A"\nkind = "traditional-web"\nhost = "a.example"\n'
        'paths = [{ path = "/p", https = "none" }]\n'
    )

    assert run(["config", "explain", "a.example/p"]) == ExitStatus.OK
    shown = capsys.readouterr().out
    assert "force_https_screens" in shown
    assert 'though [[environment.application]] A: paths /p: https = "none"' in shown
    assert run(["config", "explain", "a.example/p/below"]) == ExitStatus.OK
    assert "  /p  " in capsys.readouterr().out
    assert run(["config", "explain", "a.example/elsewhere"]) == ExitStatus.OK
    assert "  /  " in capsys.readouterr().out
    assert run(["config", "explain", "b.example"]) == ExitStatus.USAGE
    assert 'did you mean "a.example"?' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "file", "other"),
    [
        ("json", "r.pdf", "PDF"),
        ("text", "r.html", "HTML"),
        ("pdf", "r.oscal.json", "OSCAL"),
        ("sarif", "r.json", None),
        ("oscal", "r.JSON", None),
        ("csv", "r.txt", None),
        ("junit", "r.xml", None),
        ("html", "r.htm", None),
        ("json", "r.cdx.json", "CycloneDX"),
        ("cyclonedx", "r.cdx.json", None),
        ("openmetrics", "r.prom", None),
        ("prometheus", "r.om", "OpenMetrics"),
    ],
)
def test_a_format_that_contradicts_the_suffix_is_refused(name: str, file: str, other: str | None) -> None:
    if other is None:
        assert formats_of([name], file, ("text",)) == [name]
        return
    with pytest.raises(UsageError, match=f"{file} is named as a file of {other}, and --format {name}"):
        formats_of([name], file, ("text",))


def test_several_formats_are_not_written_into_a_folder_named_as_a_file(tmp_path: Path) -> None:
    several, file = ["html", "json"], str(tmp_path / "r.html")
    with pytest.raises(UsageError, match="is named as a file of HTML, and 2 formats were asked for"):
        formats_of(several, file, ("text",))
    assert formats_of(several, f"{file}/", ("text",)) == several
    assert formats_of(several, str(tmp_path / "reports"), ("text",)) == several
    Path(file).mkdir()
    assert formats_of(several, file, ("text",)) == several, "a folder it is"


def test_formats_come_by_commas_and_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    scan = importlib.import_module(COMMANDS["scan"].module).command
    context = scan.make_context("scan", ["a.example", "-f", "html,json", "-f", "json", "-f", "csv"])

    assert context.params["formats"] == ("html", "json", "csv")
    assert run(["scan", "a.example", "-f", "html,jsn"]) == ExitStatus.USAGE
    assert '"jsn" is not a format (did you mean "json"?)' in capsys.readouterr().err
