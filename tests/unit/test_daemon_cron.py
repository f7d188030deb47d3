"""When schedules are due, by a clock that the tests set."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from scanner.app.daemon import cron as former
from scanner.config.form import ScheduleForm, WindowForm
from scanner.errors import ConfigError
from scanner.service.cron import ScheduleTrigger, trigger_of


def trigger(cron: str, timezone: str = "UTC", **keys: object) -> ScheduleTrigger:
    return trigger_of(
        ScheduleForm.model_validate({"name": "s", "cron": cron, "timezone": timezone, **keys}), "config.toml"
    )


def starts(of: ScheduleTrigger, since: datetime, until: datetime) -> list[datetime]:
    found: list[datetime] = []
    due = of.get_next_fire_time(None, since)
    while due is not None and due < until:
        found.append(due)
        due = of.get_next_fire_time(due, due)
    return found


def on(day: date, of: ScheduleTrigger, timezone: str) -> list[str]:
    zone = ZoneInfo(timezone)
    begins = datetime.combine(day, time(0), zone)
    ends = datetime.combine(day + timedelta(days=1), time(0), zone)
    return [start.astimezone(UTC).strftime("%H:%M") for start in starts(of, begins, ends)]


CHANGES = [
    # The clocks go from 2:00 to 3:00 in Berlin and from 1:00 to 2:00 in Lisbon, both at 1:00 UTC, and back at 1:00 UTC.
    ("Europe/Berlin", "30 2 * * *", date(2026, 3, 29), ["01:00"]),  # skipped: due when they have changed
    ("Europe/Berlin", "30 2 * * *", date(2026, 10, 25), ["00:30"]),  # twice: the first time
    ("Europe/Berlin", "30 3 * * *", date(2026, 3, 29), ["01:30"]),
    ("Europe/Berlin", "30 3 * * *", date(2026, 10, 25), ["02:30"]),
    ("Europe/Lisbon", "30 2 * * *", date(2026, 3, 29), ["01:30"]),
    ("Europe/Lisbon", "30 2 * * *", date(2026, 10, 25), ["02:30"]),
    ("Europe/Lisbon", "30 1 * * *", date(2026, 3, 29), ["01:00"]),
    ("Europe/Lisbon", "30 1 * * *", date(2026, 10, 25), ["00:30"]),
    ("America/New_York", "30 2 * * *", date(2026, 3, 8), ["07:00"]),
    ("America/New_York", "30 1 * * *", date(2026, 11, 1), ["05:30"]),
    ("Australia/Lord_Howe", "15 2 * * *", date(2026, 10, 4), ["15:30"]),  # by half an hour
    ("Australia/Lord_Howe", "45 1 * * *", date(2026, 4, 5), ["14:45"]),
    ("Europe/Berlin", "15,45 2 * * *", date(2026, 3, 29), ["01:00"]),  # both skipped: once
    ("Europe/Berlin", "15,45 2 * * *", date(2026, 10, 25), ["00:15", "00:45"]),
]


@pytest.mark.parametrize(("timezone", "cron", "day", "expected"), CHANGES)
def test_on_the_days_on_which_the_clocks_change_it_is_due_exactly_once(
    timezone: str, cron: str, day: date, expected: list[str]
) -> None:
    assert on(day, trigger(cron, timezone), timezone) == expected
    for other in (day - timedelta(days=1), day + timedelta(days=1)):
        assert len(on(other, trigger(cron, timezone), timezone)) == len(cron.partition(" ")[0].split(","))


@pytest.mark.parametrize("timezone", ["Europe/Lisbon", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_a_year_has_as_many_nights_as_days(timezone: str) -> None:
    zone = ZoneInfo(timezone)
    found = starts(
        trigger("30 2 * * *", timezone), datetime(2026, 1, 1, tzinfo=zone), datetime(2027, 1, 1, tzinfo=zone)
    )

    assert len(found) == 365
    assert len({start.astimezone(zone).date() for start in found}) == 365


def test_every_hour_means_every_elapsed_hour() -> None:
    for day, hours in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)):
        found = on(day, trigger("0 * * * *", "Europe/Berlin"), "Europe/Berlin")
        assert len(found) == hours
    zone = ZoneInfo("Europe/Berlin")
    every = starts(
        trigger("*/20 * * * *", "Europe/Berlin"),
        datetime(2026, 10, 25, tzinfo=zone),
        datetime(2026, 10, 26, tzinfo=zone),
    )
    assert {after - before for before, after in pairwise(start.astimezone(UTC) for start in every)} == {
        timedelta(minutes=20)
    }


@pytest.mark.parametrize(
    ("cron", "days"),
    [
        ("0 2 * * 0", {6}),
        ("0 2 * * 7", {6}),
        ("0 2 * * 1-5", {0, 1, 2, 3, 4}),
        ("0 2 * * 5-7", {4, 5, 6}),
        ("0 2 * * 6,0", {5, 6}),
        ("0 2 * * mon-fri", {0, 1, 2, 3, 4}),
        ("0 2 * * SUN", {6}),
        ("0 2 * * 1-6/2", {0, 2, 4}),
        ("0 2 * * mon-fri/2", {0, 2, 4}),
        ("0 2 * * sun-thu", {6, 0, 1, 2, 3}),
        ("0 2 * * fri-sun", {4, 5, 6}),
        ("0 2 * * mon-sun", {0, 1, 2, 3, 4, 5, 6}),
        ("0 2 * * sun-sat", {0, 1, 2, 3, 4, 5, 6}),
        ("0 2 * * sun,wed", {6, 2}),
    ],
)
def test_weekdays_are_counted_as_cron_counts_them(cron: str, days: set[int]) -> None:
    found = starts(trigger(cron), datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 15, tzinfo=UTC))

    assert {start.weekday() for start in found} == days


@pytest.mark.parametrize(
    ("cron", "days"),
    [
        ("0 2 * * mon#1", ["11-02", "12-07"]),
        ("0 2 * * 5L", ["11-27", "12-25"]),
        ("0 2 L * *", ["11-30", "12-31"]),
        ("0 2 1 jan-dec/3 *", []),  # January, April, July, October
        ("0 2 1 2-12/3 *", ["11-01"]),
        ("0 2 1 nov-dec *", ["11-01", "12-01"]),
    ],
)
def test_the_whole_of_a_field_is_read(cron: str, days: list[str]) -> None:
    found = starts(trigger(cron), datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))

    assert [f"{start:%m-%d}" for start in found] == days


@pytest.mark.parametrize("cron", ["0 0 * * *", "30 2 * * *", "0 12 * * *", "59 23 * * *"])
def test_a_day_that_a_zone_leaves_out_starts_at_the_change(cron: str) -> None:
    # Samoa went from the end of the 29th of December 2011 to the beginning of the 31st, at 10:00 UTC on the 30th.
    zone = ZoneInfo("Pacific/Apia")
    found = starts(
        trigger(cron, "Pacific/Apia"), datetime(2011, 12, 29, tzinfo=zone), datetime(2012, 1, 2, tzinfo=zone)
    )
    change = datetime(2011, 12, 30, 10, tzinfo=UTC)

    assert change in found
    assert len(found) == (3 if cron == "0 0 * * *" else 4)  # midnight of the 31st is the same moment
    assert found == sorted(set(found))


@pytest.mark.parametrize(
    ("cron", "jitter", "taken"),
    [
        ("0 * * * *", "2h", False),
        ("0 * * * *", "1h", True),
        ("0 2 * * *", "24h", False),  # in spring a night follows the other after 23 hours
        ("0 2 * * *", "23h", True),
        ("0 2,3 * * *", "90m", False),
        ("0 2 29 2 *", "30d", True),
    ],
)
def test_no_start_is_put_off_beyond_the_next(cron: str, jitter: str, *, taken: bool) -> None:
    if taken:
        assert trigger(cron, "Europe/Lisbon", jitter=jitter)
        return
    with pytest.raises(ConfigError, match=r"jitter: is [0-9 a-z]+, and the starts are [0-9 a-z]+ apart"):
        trigger(cron, "Europe/Lisbon", jitter=jitter)


def test_day_and_weekday_together_mean_either() -> None:
    found = starts(trigger("0 0 13 * fri"), datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))

    assert [start.day for start in found] == [6, 13, 20, 27]
    assert [
        start.day
        for start in starts(trigger("0 0 13 * *"), datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    ] == [13]


def test_six_fields_count_seconds() -> None:
    found = starts(
        trigger("*/20 * * * * *"), datetime(2026, 2, 1, 5, 0, 1, tzinfo=UTC), datetime(2026, 2, 1, 5, 1, 1, tzinfo=UTC)
    )

    assert [start.second for start in found] == [20, 40, 0]


def test_jitter_differs_from_night_to_night_and_is_the_same_when_asked_again() -> None:
    nights = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
    found = starts(trigger("0 2 * * *", jitter="30m"), *nights)
    minutes = [(start - start.replace(hour=2, minute=0, second=0)).total_seconds() / 60 for start in found]

    assert len(found) == 59
    assert len({start.date() for start in found}) == 59
    assert min(minutes) >= 0
    assert max(minutes) < 30
    assert len(set(minutes)) > 50
    assert starts(trigger("0 2 * * *", jitter="30m"), *nights) == found


def test_a_start_in_a_window_waits_for_its_end_once() -> None:
    window = {"days": ["sun"], "start": "01:00", "end": "05:00"}
    hourly = trigger("0 0-6 * * *", "Europe/Berlin", not_during=[window])

    sunday = on(date(2026, 6, 7), hourly, "Europe/Berlin")
    assert sunday == ["22:00", "03:00", "04:00"]  # midnight, then 5:00 and 6:00 local time
    assert len(on(date(2026, 6, 8), hourly, "Europe/Berlin")) == 7


def test_windows_over_midnight_and_between_dates_that_follow_each_other() -> None:
    windows = [
        {"start": "22:00", "end": "03:00"},
        {"first": "2026-12-24", "last": "2026-12-26"},
    ]
    nightly = trigger("0 2 * * *", not_during=windows)
    found = starts(nightly, datetime(2026, 12, 22, tzinfo=UTC), datetime(2026, 12, 29, tzinfo=UTC))

    # The 24th begins within the window of the night before; the three days end within that of the night after.
    assert [start.strftime("%d %H:%M") for start in found] == ["22 03:00", "23 03:00", "27 03:00", "28 03:00"]


def test_whether_now_is_in_a_window() -> None:
    nightly = trigger("0 2 * * *", "Europe/Berlin", not_during=[{"start": "01:00", "end": "04:00"}])

    assert nightly.in_window_until(datetime(2026, 6, 1, 0, 30, tzinfo=UTC)) == datetime(2026, 6, 1, 2, tzinfo=UTC)
    assert nightly.in_window_until(datetime(2026, 6, 1, 2, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 2 * *", "should have five fields"),
        ("0 25 * * *", "25"),
        ("0 2 * * 8", 'weekday "8" is not one: it can be 0-7'),
        ("a b c d e", '"a b c d e": its minute "a" is not one'),
        ("0 2 30 2 *", 'never starts: no such month has a day "30"'),
        ("0 2 29 2 mon#5x", 'weekday "mon#5x" is not one'),
        ("0 2 * * fri*", 'weekday "fri\\*" is not one'),
        ("0 2 * * mon/7", 'weekday "mon/7" has a step that leaves one value'),
        ("0 2 * * mon/2", 'weekday "mon/2" does not say where the steps end: write "mon-sat/2"'),
        ("0 2 * * mon-fri/5", 'weekday "mon-fri/5" has a step that leaves one value'),
        ("0 2 * * */7", "a step that leaves one value"),
        ("*/60 * * * *", 'minute "\\*/60" has a step that leaves one value'),
        ("0 2 lastday * *", 'day of the month "lastday" is not one'),
        ("0 2 1W * *", 'day of the month "1W" is not one'),
        ("0 2 L/2 * *", "a step that leaves one value"),
        ("0 2 * dec-jan *", 'month "dec-jan" is not one.*a range begins with the lower'),
        ("0 2 * * thu-tue", "a range begins with the lower"),
        ("0 2 1,,3 * *", 'day of the month "" is not one'),
        ("0 2 ١ * *", 'day of the month "١" is not one'),
        ("0 2 " + "9" * 990 + " * *", "is not one"),
        ("0 " + "2," * 600 + "2 * * *", "should have five fields"),
        ("@daily", 'short forms are not supported: write "0 0 \\* \\* \\*"'),
        ("0 2 * * ?", 'weekday "\\?" is not one'),
        ("~ 2 * * *", 'minute "~" is not one'),
    ],
)
def test_what_is_no_schedule(cron: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        trigger(cron)


# What Debian's crontab (3.0pl1-162) takes and refuses, tried out, and what is done with it here.
TERMS = [
    # Taken by both, with the same meaning.
    ("5", {5}),
    ("007", {7}),
    ("1-1", {1}),
    ("*", set(range(60))),
    ("*/1", set(range(60))),
    ("*/20", {0, 20, 40}),
    ("*,5", set(range(60))),
    ("5-9/2", {5, 7, 9}),
    ("0-59/59", {0, 59}),
    ("1-5/4", {1, 5}),
    ("0-10/5,30", {0, 5, 10, 30}),
    ("1-2/1,58-59", {1, 2, 58, 59}),
    # Taken by Debian's, and refused here, because what is written is not what would be done.
    ("2-2/3", 'minute "2-2/3" has a step that leaves one value: write that one$'),
    ("1-1/1", 'minute "1-1/1" has a step that leaves one value: write that one$'),
    ("0,2-2/3", 'minute "2-2/3" has a step that leaves one value: write that one$'),
    ("1-5/9", 'minute "1-5/9" has a step that leaves one value: write that one, or a smaller step$'),
    ("*/60", 'minute "\\*/60" has a step that leaves one value: write that one, or a smaller step$'),
    ("*/100", "has a step that leaves one value"),
    ("5-3", 'minute "5-3" is not one: it can be 0-59, and a range begins with the lower$'),
    ("5-3/2", 'minute "5-3/2" is not one: it can be 0-59, and a range begins with the lower$'),
    ("*-5", 'minute "\\*-5" is not one'),
    ("1-5-7", 'minute "1-5-7" is not one'),
    ("*/2/3", 'minute "\\*/2/3" is not one'),
    ("**", 'minute "\\*\\*" is not one'),
    ("5#1", 'minute "5#1" is not one'),
    # Refused by both.
    ("*/0", 'minute "\\*/0" has a step of zero: a step is 1 or more$'),
    ("1-5/00", 'minute "1-5/00" has a step of zero'),
    ("2/3", 'minute "2/3" does not say where the steps end: write "2-59/3"$'),
    ("0/15", 'minute "0/15" does not say where the steps end: write "0-59/15"$'),
    ("2/1", 'minute "2/1" does not say where the steps end: write "2-59/1"$'),
    ("59/1", 'minute "59/1" has a step that leaves one value: write that one$'),
    ("60", 'minute "60" is not one'),
    ("59-60", 'minute "59-60" is not one: it can be 0-59$'),
    ("5-64/30", 'minute "5-64/30" is not one'),
    ("1-", 'minute "1-" is not one'),
    ("-5", 'minute "-5" is not one'),
    ("+5", 'minute "\\+5" is not one'),
    ("*/+5", 'minute "\\*/\\+5" is not one'),
    ("*/", 'minute "\\*/" is not one'),
    ("/5", 'minute "/5" is not one'),
    ("1,", 'minute "" is not one'),
    (",1", 'minute "" is not one'),
]


@pytest.mark.parametrize(("minutes", "expected"), TERMS)
def test_terms_as_debians_cron_reads_them_or_not_at_all(minutes: str, expected: set[int] | str) -> None:
    if isinstance(expected, str):
        with pytest.raises(ConfigError, match=expected.replace("$", r" \(for 2:00")):
            trigger(f"{minutes} 2 * * *")
        return
    found = starts(trigger(f"{minutes} 2 * * *"), datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 2, tzinfo=UTC))

    assert {start.minute for start in found} == expected


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("5/3 0 2 * * *", 'second "5/3" .*write "5-59/3"'),
        ("0 2/3 * * *", 'hour "2/3" .*write "2-23/3"'),
        ("0 2-2/3 * * *", 'hour "2-2/3" has a step that leaves one value'),
        ("0 2 1/3 * *", 'day of the month "1/3" .*write "1-31/3"'),
        ("0 2 L/1 * *", 'day of the month "L/1" has a step that leaves one value: write that one'),
        ("0 2 1 jan/3 *", 'month "jan/3" .*write "jan-dec/3"'),
        ("0 2 1 3-3/2 *", 'month "3-3/2" has a step that leaves one value'),
        ("0 2 * * 2-2/3", 'weekday "2-2/3" has a step that leaves one value'),
        ("0 2 * * 0-7/7", 'weekday "0-7/7" has a step that leaves one value'),
        ("0 2 * * sun/1", 'weekday "sun/1" .*write "sun-sat/1"'),
        ("0 2 * * 1-5/0", 'weekday "1-5/0" has a step of zero'),
    ],
)
def test_steps_that_mean_nothing_are_refused_in_every_field(cron: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        trigger(cron)


def test_a_window_that_never_ends() -> None:
    with pytest.raises(ConfigError, match="never starts"):
        trigger("0 2 * * *", not_during=[WindowForm().model_dump()])


def test_it_can_be_kept() -> None:
    kept = trigger("30 2 * * *", "Europe/Lisbon", jitter="5m", not_during=[{"start": "01:00", "end": "02:00"}])
    again = pickle.loads(pickle.dumps(kept))  # noqa: S301  # our own, as the job store keeps it
    now = datetime(2026, 3, 28, tzinfo=UTC)

    assert again == kept
    assert again.get_next_fire_time(None, now) == kept.get_next_fire_time(None, now)
    assert again != trigger("31 2 * * *", "Europe/Lisbon", jitter="5m")


def test_scripts_find_the_trigger_by_its_former_name() -> None:
    assert former.ScheduleTrigger is ScheduleTrigger
