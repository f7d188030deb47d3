from __future__ import annotations

import dataclasses
import itertools
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from scanner.history import History, questions
from scanner.history.facts import deployments_of
from scanner.history.scope import ConfiguredScope
from scanner.inventory import Endpoint, Environment, EnvironmentKind, Inventory
from scanner.jobs.rule_choice import RuleChoice
from scanner.verdict import RunRecord, Severity, Status, TargetStatus
from tests.build import histories
from tests.build.archives import unpack
from tests.build.records import FIRST_NIGHT, sample_history, sample_record

RUN_IDS = [record.run.id for record in sample_history()]
ERP = "legacy/erp.example.internal:443@203.0.113.5"
DAY = timedelta(days=1)
KEPT = Path(__file__).parents[1] / "golden" / "nightseal-0.1.tar.gz"


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Appended one by one, as a service does it."""
    history = History.open(tmp_path_factory.mktemp("nights"), create=True)
    for record in sample_history():
        history.append(record)
    return history


def recorded(tmp_path_factory: pytest.TempPathFactory, records: tuple[RunRecord, ...]) -> History:
    return histories.recorded(tmp_path_factory.mktemp("history"), records)


def one_rule(night: int, status: Status, **run_changes: object) -> RunRecord:
    """A night in which one target is judged by one rule."""
    record = sample_record(night)
    target = next(target for target in record.targets if target.id == ERP)
    verdict = dataclasses.replace(target.verdicts[0], status=status, waiver=None, severity=Severity.HIGH)
    run = dataclasses.replace(record.run, environments=("legacy",), **run_changes)
    return RunRecord(run, (dataclasses.replace(target, verdicts=(verdict,)),))


def row(frame: pd.DataFrame, **wanted: object) -> pd.Series:
    for name, value in wanted.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1, frame
    return frame.iloc[0]


def test_failing_since(nights: History) -> None:
    found = questions.failing_since(nights)
    expected = {(target.id, v.rule) for target in sample_record(4).targets for v in target.verdicts
                if v.status is Status.FAIL}  # fmt: skip
    assert set(zip(found["target_id"], found["rule"], strict=True)) == expected
    monitor = row(found, target_id="production/monitor.example.com:443@2001:db8::20", rule="https.hsts")
    assert monitor["since"] == FIRST_NIGHT + 2 * DAY
    assert monitor["duration"] == 2 * DAY
    assert monitor["runs"] == 3
    assert row(found, target_id=ERP, rule="cert.trusted")["waived"]
    assert found["duration"].is_monotonic_decreasing


def test_failing_since_asks_only_the_runs_that_it_is_given(nights: History) -> None:
    found = questions.failing_since(nights, RUN_IDS[:2])
    assert "https.redirect" not in set(found["rule"])
    assert row(found, rule="proto.no-tls1.0", environment="test")["duration"] == DAY


def test_a_failure_lasts_through_nights_in_which_it_could_not_be_seen(tmp_path_factory) -> None:
    seen = (Status.PASS, Status.FAIL, Status.INDETERMINATE, Status.INDETERMINATE, Status.FAIL, Status.INDETERMINATE)
    history = recorded(tmp_path_factory, tuple(one_rule(night, status) for night, status in enumerate(seen)))
    episode = row(questions.episodes(history))
    assert (episode["since"], episode["last_seen"], episode["runs"]) == (FIRST_NIGHT + DAY, FIRST_NIGHT + 4 * DAY, 2)
    assert pd.isna(episode["until"])
    assert row(questions.failing_since(history))["duration"] == 4 * DAY


@pytest.mark.parametrize("subject", ["", "deadbeef"])
@pytest.mark.parametrize("reason", ["not-asked", "not-observed"])
def test_a_failure_lasts_through_nights_in_which_nobody_asked(tmp_path_factory, subject: str, reason: str) -> None:
    def night(number: int, status: Status, name: str, why: str = "weak") -> RunRecord:
        record = one_rule(number, status)
        (target,) = record.targets
        verdict = dataclasses.replace(target.verdicts[0], subject=name, reason=why)
        return dataclasses.replace(record, targets=(dataclasses.replace(target, verdicts=(verdict,)),))

    unknown = Status.NOT_APPLICABLE if reason == "not-asked" else Status.INDETERMINATE
    records = [
        night(0, Status.FAIL, "replaced long ago"),
        night(1, Status.FAIL, subject),
        night(2, unknown, "", reason),
        night(3, unknown, "", reason),
        night(4, Status.FAIL, subject),
    ]
    for upto, lasted in ((3, 1), (4, 2), (5, 3)):
        history = recorded(tmp_path_factory, tuple(records[:upto]))
        now = row(questions.failing_since(history))
        assert (now["subject"], now["since"], now["duration"]) == (subject, FIRST_NIGHT + DAY, lasted * DAY)
    ended = questions.mean_time_to_fix(history)
    assert ended["fixed"].sum() == 0, "nobody saw that anything was mended"


def test_where_nobody_asked_environments_do_not_differ(tmp_path_factory) -> None:
    record = sample_record(0)
    known = questions.environments_compared(recorded(tmp_path_factory, (record,)))
    left_out = RuleChoice(skip=["*"]).applied(record)
    part = [target if target.environment != "test" else other
            for target, other in zip(record.targets, left_out.targets, strict=True)]  # fmt: skip
    without = questions.environments_compared(
        recorded(tmp_path_factory, (dataclasses.replace(record, targets=tuple(part)),))
    )
    assert len(known)
    assert "test" not in without.columns or without["test"].isna().all()


def test_a_failure_that_comes_back_is_another_one(tmp_path_factory) -> None:
    seen = (Status.FAIL, Status.FAIL, Status.PASS, Status.FAIL, Status.NOT_APPLICABLE, Status.FAIL)
    history = recorded(tmp_path_factory, tuple(one_rule(night, status) for night, status in enumerate(seen)))
    found = questions.episodes(history)
    assert found["episode"].tolist() == [1, 2, 3]
    assert found["duration"].tolist() == [2 * DAY, DAY, timedelta(0)]
    assert found["until"].notna().tolist() == [True, True, False]
    assert row(questions.failing_since(history))["since"] == FIRST_NIGHT + 5 * DAY
    mean = row(questions.mean_time_to_fix(history), environment="legacy", severity="high")
    assert (mean["fixed"], mean["still_open"]) == (2, 1)
    assert (mean["mean"], mean["median"], mean["longest"]) == (1.5 * DAY, 1.5 * DAY, 2 * DAY)


def test_what_is_scanned_no_more_fails_no_more(tmp_path_factory) -> None:
    gone = dataclasses.replace(one_rule(1, Status.PASS), targets=sample_record(1).targets[-1:])
    history = recorded(tmp_path_factory, (one_rule(0, Status.FAIL), gone))
    assert questions.failing_since(history).empty
    assert len(questions.episodes(history)) == 1


def test_an_interrupted_run_is_not_the_present_state(tmp_path_factory) -> None:
    cut = dataclasses.replace(one_rule(1, Status.PASS, complete=False), targets=())
    history = recorded(tmp_path_factory, (one_rule(0, Status.FAIL), cut))
    assert questions.current_runs(history) == {"legacy": RUN_IDS[0]}
    assert len(questions.failing_since(history)) == 1


def test_mean_time_to_fix(nights: History) -> None:
    found = questions.mean_time_to_fix(nights)
    production = row(found, environment="production", severity="medium")
    assert (production["fixed"], production["still_open"]) == (2, 1)
    assert production["mean"] == 3.5 * DAY
    legacy = row(found, environment="legacy", severity="critical")
    assert (legacy["fixed"], legacy["still_open"]) == (0, 1)
    assert pd.isna(legacy["mean"])


def test_certificates_by_expiry(nights: History) -> None:
    found = questions.certificates_by_expiry(nights)
    assert found["not_after"].is_monotonic_increasing
    assert found["fingerprint"].is_unique
    shop = row(found, subject="CN=shop.example.com,O=Example Ltd")
    assert (shop["targets"], shop["hosts"]) == (2, ["shop.example.com"]), "the replaced one is not in use"
    assert shop["days_left"] == (shop["not_after"] - (FIRST_NIGHT + 4 * DAY)).days
    issuing = row(found, position="intermediate")
    assert issuing["environments"] == ["legacy", "production", "test"]


def test_certificates_by_issuer(nights: History) -> None:
    found = questions.certificates_by_issuer(nights)
    assert found["issuer"].tolist() == [
        "CN=Example Issuing CA 1,O=Example Trust Services", "CN=erp.example.internal,O=Example Ltd"
    ]  # fmt: skip
    assert found["certificates"].tolist() == [5, 1]


def test_reused_keys(nights: History) -> None:
    found = row(questions.reused_keys(nights))
    assert found["certificates"] == 2
    assert found["hosts"] == ["api.test.example.com", "shop.example.com", "shop.test.example.com"]
    assert found["environments"] == ["production", "test"]


def test_addresses_that_differ_and_since_when(nights: History) -> None:
    before = questions.differing_addresses(nights, RUN_IDS[:3])
    assert before["what"].tolist() == ["cert.expiry", "certificate"]
    assert set(before["since"]) == {FIRST_NIGHT}
    assert set(before["duration"]) == {2 * DAY}
    assert set(before["addresses"]) == {2}
    assert questions.differing_addresses(nights).empty, "from the fourth night on they are alike"


def test_addresses_that_were_alike_in_between_differ_since_then(tmp_path_factory) -> None:
    nights = (0, 3, 1, 2)  # differ, alike, differ, differ
    records = []
    for place, night in enumerate(nights):
        record = sample_record(night)
        run = dataclasses.replace(record.run, id=f"{place}", started_at=FIRST_NIGHT + place * DAY)
        records.append(dataclasses.replace(record, run=run))
    found = questions.differing_addresses(recorded(tmp_path_factory, tuple(records)))
    assert set(found["since"]) == {FIRST_NIGHT + 2 * DAY}
    assert set(found["duration"]) == {DAY}


def test_environments_compared(nights: History) -> None:
    found = questions.environments_compared(nights)
    shop = found.loc[("Shop", "https.hsts", "")]
    assert (shop["production"], shop["test"]) == ("pass", "fail")
    assert ("Shop", "vuln.robot", "") in found.index
    assert set(found.index.get_level_values("application")) == {"Shop"}, "others are in one environment alone"
    assert ("Shop", "proto.tls1.2", "") not in found.index


def test_coverage(nights: History) -> None:
    found = questions.coverage(nights)
    assert len(found) == 15
    last = row(found, run_id=RUN_IDS[4], environment="test")
    assert (last["targets"], last["assessed"], last["partial"], last["unreachable"]) == (3, 1, 1, 1)
    assert last["share"] == pytest.approx(1 / 3)
    assert found["run_started_at"].is_monotonic_increasing


def test_trend(nights: History) -> None:
    found = questions.trend(nights)
    assert found["verdicts"].sum() == sum(len(record.verdicts) for record in sample_history())
    failed = found[(found["status"] == "fail") & ~found["waived"]].groupby("run_id", observed=True)["verdicts"].sum()
    for record in sample_history():
        assert failed[record.run.id] == sum(verdict.counts_as_failure for verdict in record.verdicts)


@pytest.mark.parametrize(
    "question",
    ["episodes", "failing_since", "mean_time_to_fix", "certificates_by_expiry", "certificates_by_issuer",
     "reused_keys", "differing_addresses", "environments_compared", "coverage", "trend"],
)  # fmt: skip
def test_a_history_without_runs_has_an_empty_answer(question: str, tmp_path_factory, nights: History) -> None:
    empty = getattr(questions, question)(recorded(tmp_path_factory, ()))
    assert empty.empty
    if question != "environments_compared":
        assert list(empty.columns) == list(getattr(questions, question)(nights).columns)


def test_what_only_an_interrupted_run_saw_is_not_the_present_yet(tmp_path_factory) -> None:
    night = (one_rule(0, Status.PASS), one_rule(1, Status.FAIL, complete=False))
    history = recorded(tmp_path_factory, night)
    assert questions.failing_since(history).empty
    assert len(questions.episodes(history)) == 1


def test_episodes_of_nothing(tmp_path_factory) -> None:
    history = recorded(tmp_path_factory, (one_rule(0, Status.PASS),))
    assert questions.episodes(history).empty
    assert questions.failing_since(history).empty
    assert questions.mean_time_to_fix(history).empty


def test_next_expiry_is_the_earliest_of_the_servers_own(nights: History) -> None:
    found = questions.next_expiry(nights)
    assert len(found) == len(RUN_IDS) * 3
    for record in sample_history():
        for environment in record.run.environments:
            ends = [
                deployment.leaf.not_after
                for target in record.targets
                if target.environment == environment
                for deployment in deployments_of(target)
            ]
            assert row(found, run_id=record.run.id, environment=environment)["not_after"] == min(ends)


SHOP = "production/shop.example.com:443"


def nights_of(
    tmp_path_factory: pytest.TempPathFactory,
    *nights: dict[str | None, Status],
    lying: tuple[int, ...] | None = None,
) -> History:
    """Nights of one name, each with the verdict of one rule at each of its addresses; None did not resolve."""
    records = []
    for night, answers in enumerate(nights):
        record = sample_record(night)
        first = next(target for target in record.targets if target.endpoint == SHOP)
        targets = tuple(
            dataclasses.replace(
                first,
                id=f"{SHOP}@{ip or 'unresolved'}",
                ip=ip,
                verdicts=(dataclasses.replace(first.verdicts[0], status=status, waiver=None),),
            )
            for ip, status in answers.items()
        )
        records.append(RunRecord(dataclasses.replace(record.run, environments=("production",)), targets))
    return histories.recorded(tmp_path_factory.mktemp("history"), records, lying)


FAIL, PASS, UNKNOWN = Status.FAIL, Status.PASS, Status.INDETERMINATE


@pytest.mark.parametrize(
    ("nights", "since", "places"),
    [
        # Four addresses in rotation.
        ([{f"192.0.2.{night % 4}": FAIL} for night in range(10)], 0, 1),
        # A night without DNS.
        ([{"a": FAIL}, {None: UNKNOWN}, {"a": FAIL}], 0, 1),
        # It is mended at the address that failed, and another begins to fail: no break.
        ([{"a": FAIL, "b": PASS}, {"a": FAIL, "b": FAIL}, {"a": PASS, "b": FAIL}], 0, 1),
        # Where it failed nothing is known, while the other address holds.
        ([{"a": FAIL, "b": PASS}, {"a": UNKNOWN, "b": PASS}, {"a": FAIL, "b": PASS}], 0, 1),
        # One address in rotation fails, and the others hold: it does not begin to fail at each of its turns.
        ([{"a": FAIL}, {"b": PASS}, {"a": FAIL}, {"b": PASS}, {"c": PASS}, {"a": FAIL}], 0, 1),
        ([{"a": FAIL, "b": PASS}, {"b": PASS}, {"a": FAIL, "b": PASS}], 0, 1),
        # Where it passes at its next turn, that is the end.
        ([{"a": FAIL}, {"b": PASS}, {"a": PASS}, {"b": FAIL}], 3, 1),
        # The address that failed is gone for good, and the other one holds: an end after a week, until it fails again.
        ([{"a": FAIL}, *[{"b": PASS}] * 6, {"b": FAIL, "c": FAIL}], 0, 2),
        ([{"a": FAIL}, *[{"b": PASS}] * 7, {"b": FAIL, "c": FAIL}], 8, 2),
        # What failed long ago at an address, of which nothing is known now, begins nothing.
        ([{"a": FAIL}, *[{"b": PASS}] * 7, {"a": UNKNOWN, "b": PASS}, {"b": FAIL}], 9, 1),
    ],
    ids=[
        "rotation",
        "no DNS",
        "handed on",
        "unknown",
        "one in rotation",
        "one in and out",
        "passes",
        "gone for six days",
        "gone",
        "forgotten",
    ],
)
def test_a_failure_lasts_whatever_addresses_its_name_has(
    tmp_path_factory: pytest.TempPathFactory, nights: list[dict[str | None, Status]], since: int, places: int
) -> None:
    found = row(questions.failing_since(nights_of(tmp_path_factory, *nights)))
    assert (found["endpoint"], found["since"], found["places"]) == (SHOP, FIRST_NIGHT + since * DAY, places)


@pytest.mark.parametrize("lying", list(itertools.permutations(range(3))))
def test_a_failure_lasts_in_whatever_order_the_rows_of_its_nights_are_stored(
    tmp_path_factory: pytest.TempPathFactory, lying: tuple[int, ...]
) -> None:
    nights: list[dict[str | None, Status]] = [{"a": FAIL, "b": PASS}, {"a": UNKNOWN, "b": PASS}, {"a": FAIL, "b": PASS}]
    found = row(questions.failing_since(nights_of(tmp_path_factory, *nights, lying=lying)))
    assert (found["since"], found["runs"]) == (FIRST_NIGHT, 2)


def test_a_failure_is_told_with_the_severity_that_it_began_with_and_its_worst(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    levels = ("medium", "critical", "high")
    history = recorded(
        tmp_path_factory,
        tuple(
            RunRecord(
                record.run,
                tuple(
                    dataclasses.replace(
                        target, verdicts=(dataclasses.replace(target.verdicts[0], severity=Severity(level)),)
                    )
                    for target in record.targets
                ),
            )
            for record, level in ((one_rule(night, Status.FAIL), level) for night, level in enumerate(levels))
        ),
    )
    found = row(questions.failing_since(history))
    assert (found["began_as"], found["worst"], found["severity"]) == ("medium", "critical", "high")


def test_the_run_that_was_written_last_is_the_present_whatever_its_clock_said(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    future = one_rule(1, Status.FAIL, id="20280302T020000Z-000001", started_at=FIRST_NIGHT + 730 * DAY)
    history = recorded(tmp_path_factory, (one_rule(0, Status.FAIL), future, one_rule(2, Status.PASS)))
    last = one_rule(2, Status.PASS).run.id
    assert history.latest() == last
    assert history.latest("legacy") == last
    assert history.runs()["run_id"].tolist()[-1] == last
    assert questions.current_runs(history) == {"legacy": last}
    assert questions.failing_since(history).empty


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history that 0.1 wrote: the sample's first three nights."""
    folder = tmp_path_factory.mktemp("kept")
    unpack(KEPT, folder)
    return folder / "v0.1" / "history"


def test_a_history_of_version_0_1_is_read_and_goes_on(kept: Path) -> None:
    history = History.open(kept, create=False)
    for night in range(3):
        old, now = history.record(RUN_IDS[night]), sample_record(night)
        assert [(target.id, target.verdicts) for target in old.targets] == [
            (target.id, target.verdicts) for target in now.targets
        ]
        assert all(target.evidence is not None for target in old.targets if target.status is TargetStatus.ASSESSED)
    before = questions.failing_since(history)
    assert history.latest() == RUN_IDS[2]
    history.append(sample_record(3))
    history.append(sample_record(4))
    assert history.order() == RUN_IDS
    assert history.previous(RUN_IDS[3]) == RUN_IDS[2]
    since = questions.failing_since(history).set_index(["endpoint", "rule"])["since"]
    for line in before.itertuples():
        assert since.get((line.endpoint, line.rule), line.since) == line.since


# --- What the configuration no longer has ----------------------------------------------------------------------------


def scope_of(*endpoints: tuple[str, str, int]) -> ConfiguredScope | None:
    """What a configuration of these endpoints has."""
    names = dict.fromkeys(environment for environment, _, _ in endpoints)
    return ConfiguredScope.of(
        Inventory(
            tuple(
                Environment(
                    name,
                    EnvironmentKind.PAAS,
                    tuple(Endpoint(name, host, port) for other, host, port in endpoints if other == name),
                )
                for name in names
            )
        )
    )


MONITOR = ("production", "monitor.example.com", 443)


@pytest.mark.parametrize(
    "question",
    ["failing_since", "certificates_by_expiry", "certificates_by_issuer", "reused_keys", "environments_compared"],
)
def test_what_the_configuration_no_longer_has_is_left_out_of_what_is_now(question: str, nights: History) -> None:
    everything = getattr(questions, question)(nights, scope=None)
    only_monitor = getattr(questions, question)(nights, scope=scope_of(MONITOR))
    all_there = scope_of(*{(target.environment, target.host, target.port) for target in sample_record(4).targets})

    assert len(only_monitor) < len(everything)
    assert len(getattr(questions, question)(nights, scope=all_there)) == len(everything)
    if question == "failing_since":
        assert set(only_monitor["endpoint"]) == {"production/monitor.example.com:443"}
    if question == "certificates_by_expiry":
        assert {host for hosts in only_monitor["hosts"] for host in hosts} == {"monitor.example.com"}


def test_addresses_of_a_retired_name_do_not_differ_now(nights: History) -> None:
    assert len(questions.differing_addresses(nights, RUN_IDS[:3])) == 2
    assert questions.differing_addresses(nights, RUN_IDS[:3], scope=scope_of(MONITOR)).empty


def test_nothing_is_retired_where_nothing_is_configured_and_ad_hoc_never_is(nights: History) -> None:
    assert ConfiguredScope.of(Inventory()) is None
    scope = scope_of(MONITOR)
    assert scope is not None
    assert scope.has("ad-hoc/any.example.com:443")
    assert not scope.has("production/shop.example.com:443")
    assert questions.failing_since(nights, scope=None)["endpoint"].unique().size > 1
