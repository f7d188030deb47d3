"""What people ask a history, answered as DataFrames: since when, how long until mended, where it differs, how it goes.

Durations are timedeltas, times UTC. Each question takes the ids of the runs to look at, of which None means all. The
present state of an environment is its latest complete run among them. What the configuration no longer has is retired:
with a `scope`, the questions about the present leave it out. Verdicts that are `indeterminate`, or were not asked for,
say nothing: a failure lasts until something else than it is seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from scanner.history.episodes import ENDPOINT, KEY, UNKNOWN, episodes_of
from scanner.history.frames import frame
from scanner.history.schema import CERTIFICATES, TARGETS, VERDICTS
from scanner.history.scope import ConfiguredScope, within
from scanner.history.store import WRITTEN, History, literal
from scanner.history.verdict_counts import verdict_counts

RunIds = Iterable[str] | None


def current_runs(history: History, run_ids: RunIds = None) -> dict[str, str]:
    """The id of the latest complete run of each environment; of the latest of all where none was complete."""
    return current_of(history.runs(run_ids, columns=[*WRITTEN, "complete", "environments"]))


def current_of(runs: pd.DataFrame) -> dict[str, str]:
    """The same of runs that were read before, with the columns of `WRITTEN`, `complete` and `environments`.

    Latest is what was written last: a run under a wrong clock would be the latest for years otherwise.
    """
    scanned = runs.explode("environments", ignore_index=True).dropna(subset="environments")
    latest = scanned.sort_values(["complete", *WRITTEN]).groupby("environments")["run_id"].last()
    return {str(environment): str(run_id) for environment, run_id in latest.items()}


def episodes(history: History, run_ids: RunIds = None) -> pd.DataFrame:
    """Every period for which a rule failed at an endpoint (environment, host and port) without a break.

    Columns: `endpoint`, `target_id` (the address of it that is spoken of), `environment`, `rule`, `subject`, `episode`
    (counted from 1), `since` (first seen failing), `until` (first seen not failing; null while it fails), `last_seen`
    (last seen failing), `runs` (how often seen), `goal`, `severity`, `waived`, `message` (as last seen), `places` (at
    how many addresses, then), `began_as`, `worst` (its severity when it began, and the highest), `duration` (to
    `until`, or to `last_seen` while it fails).
    """
    found = episodes_of(history, run_ids).drop(columns=["began_in", "seen_last_in"])
    found["duration"] = found["until"].fillna(found["last_seen"]) - found["since"]
    return found.sort_values(["since", "endpoint", "rule", "subject"], ignore_index=True)


def failing_since(history: History, run_ids: RunIds = None, *, scope: ConfiguredScope | None = None) -> pd.DataFrame:
    """What fails now: the open episodes of endpoints that are still scanned and of rules still judged, longest first.

    Columns as of `episodes`, without `episode` and `until`; `duration` is from `since` to the present run.
    """
    present = _is_present(history, run_ids)
    sql = (
        f"SELECT DISTINCT {ENDPOINT} AS endpoint, rule, subject, run_id, run_started_at AS present "  # noqa: S608  # the schema's names, and quoted literals
        f"FROM verdicts WHERE {present}"
    )
    judged = frame(history.query(sql, VERDICTS, run_ids=run_ids), VERDICTS)
    places = {run_id: place for place, run_id in enumerate(history.order(run_ids))}
    judged["seen_in"] = judged.pop("run_id").astype(str).map(places).astype("int64")
    wanted = f"SELECT DISTINCT endpoint, rule, subject FROM placed WHERE {present} AND (status = 'fail' OR {UNKNOWN})"  # noqa: S608  # the schema's names, and quoted literals
    blind = _without_subjects(history, run_ids, present, judged, places)
    found = episodes_of(
        history, run_ids, wanted if blind.empty else f"{wanted} UNION {_HIDDEN.format(present=present)}"
    )
    found = found[found["until"].isna()]
    hidden = found.merge(blind, on=["endpoint", "rule"])
    hidden = hidden[hidden["subject"].ne("") & hidden["seen_last_in"].ge(hidden.pop("judged_in"))]
    found = pd.concat([found.merge(judged, on=list(KEY)), hidden], ignore_index=True).drop_duplicates(list(KEY))
    # What an interrupted run saw later is not the present yet.
    found = found[found["began_in"] <= found["seen_in"]]
    found = within(found, scope).copy()
    found["duration"] = found.pop("present") - found["since"]
    found = found.drop(columns=["episode", "until", "began_in", "seen_last_in", "seen_in"])
    return found.sort_values(["duration", "endpoint", "rule"], ascending=[False, True, True], ignore_index=True)


_BLIND = f"""
SELECT DISTINCT endpoint, rule FROM placed WHERE subject = '' AND {UNKNOWN} AND {{present}}
INTERSECT SELECT DISTINCT endpoint, rule FROM placed WHERE subject <> '' AND status = 'fail'
"""  # noqa: S608  # the schema's names alone
"""Rules of which nothing is known at an endpoint now, and which failed there for subjects that are not named now."""
_HIDDEN = f"""
SELECT DISTINCT p.endpoint AS endpoint, p.rule AS rule, p.subject AS subject FROM placed AS p
JOIN ({_BLIND}) AS b ON p.endpoint = b.endpoint AND p.rule = b.rule WHERE p.status = 'fail' AND p.subject <> ''
"""  # noqa: S608  # the schema's names alone
_JUDGED_BEFORE = f"""
, placed AS (SELECT *, {ENDPOINT} AS endpoint FROM verdicts)
SELECT DISTINCT p.endpoint AS endpoint, p.rule AS rule, p.run_id AS run_id FROM placed AS p
JOIN ({_BLIND}) AS b ON p.endpoint = b.endpoint AND p.rule = b.rule WHERE NOT {{present}} AND NOT {UNKNOWN}
"""  # noqa: S608  # the schema's names alone


def _without_subjects(
    history: History, run_ids: RunIds, present: str, judged: pd.DataFrame, places: Mapping[str, int]
) -> pd.DataFrame:
    """The rules that the present run says nothing of at an endpoint, and so names no subject of.

    Columns: `endpoint`, `rule`, `present` and `seen_in` of the present run, `judged_in` (the place of the last run
    before that knew anything of it).
    """
    known = frame(history.query(_JUDGED_BEFORE.format(present=present), VERDICTS, run_ids=run_ids), VERDICTS)
    known["judged_in"] = known.pop("run_id").astype(str).map(places).astype("int64")
    last = known.groupby(["endpoint", "rule"], observed=True)["judged_in"].max().reset_index()
    now = judged.drop(columns="subject").drop_duplicates(["endpoint", "rule"])
    return last.merge(now, on=["endpoint", "rule"])


def mean_time_to_fix(history: History, run_ids: RunIds = None, *, since: datetime | None = None) -> pd.DataFrame:
    """How long failures lasted, by environment and severity.

    Columns: `environment`, `severity`, `fixed` (episodes that ended), `mean`, `median`, `longest` (of these),
    `still_open`. A failure that was there in the first run lasted at least as long as is counted. With `since`, only
    the episodes that ended then or later count as fixed, each with all of its time.
    """
    found = episodes(history, run_ids)
    open_ = found["until"].isna()
    ended = ~open_ if since is None else found["until"] >= since
    groups = found.assign(fixed=ended, still_open=open_, lasted=found["duration"].where(ended)).groupby(
        ["environment", "severity"], observed=True
    )
    table = groups.agg(
        fixed=("fixed", "sum"), mean=("lasted", "mean"), median=("lasted", "median"), longest=("lasted", "max"),
        still_open=("still_open", "sum"),
    )  # fmt: skip
    return table.reset_index()


def certificates_by_expiry(
    history: History, run_ids: RunIds = None, *, scope: ConfiguredScope | None = None
) -> pd.DataFrame:
    """The certificates in use now, the next to expire first.

    Columns: `fingerprint`, `subject`, `issuer`, `not_before`, `not_after`, `position`, `spki`, `days_left` (whole days,
    from the run that saw it), `targets` (how many present it), `hosts` and `environments` (lists).
    """
    found = _current_certificates(history, run_ids, scope)
    found["days_left"] = (found["not_after"] - found["run_started_at"]).dt.days
    by = ["fingerprint", "subject", "issuer", "not_before", "not_after", "position", "spki"]
    table = found.groupby(by, observed=True, dropna=False).agg(
        days_left=("days_left", "min"),
        targets=("target_id", "nunique"),
        hosts=("host", _listed),
        environments=("environment", _listed),
    )
    return table.reset_index().sort_values(["not_after", "fingerprint"], ignore_index=True)


def certificates_by_issuer(
    history: History, run_ids: RunIds = None, *, scope: ConfiguredScope | None = None
) -> pd.DataFrame:
    """Who issued the server certificates in use now.

    Columns: `issuer`, `certificates`, `targets`, `next_expiry`, `environments` (list); most certificates first.
    """
    found = _current_certificates(history, run_ids, scope)
    table = (
        found[found["position"] == "leaf"]
        .groupby("issuer", observed=True)
        .agg(
            certificates=("fingerprint", "nunique"),
            targets=("target_id", "nunique"),
            next_expiry=("not_after", "min"),
            environments=("environment", _listed),
        )
    )
    return table.reset_index().sort_values(["certificates", "issuer"], ascending=[False, True], ignore_index=True)


def reused_keys(history: History, run_ids: RunIds = None, *, scope: ConfiguredScope | None = None) -> pd.DataFrame:
    """Server keys that several hosts hold now, in one certificate or in several.

    Columns: `spki`, `certificates` (how many different ones), `targets`, `hosts` and `environments` (lists); those in
    most environments first.
    """
    found = _current_certificates(history, run_ids, scope)
    table = (
        found[found["position"] == "leaf"]
        .groupby("spki", observed=True)
        .agg(
            certificates=("fingerprint", "nunique"),
            targets=("target_id", "nunique"),
            hosts=("host", _listed),
            environments=("environment", _listed),
            reach=("host", "nunique"),
            spread=("environment", "nunique"),
        )
    )
    shared = table[table["reach"] > 1].reset_index()
    shared = shared.sort_values(["spread", "targets", "spki"], ascending=[False, False, True], ignore_index=True)
    return shared.drop(columns=["reach", "spread"])


_DIFFERING = """
, several AS (
  SELECT run_id, environment, host, port FROM targets WHERE host IN ({hosts})
  GROUP BY run_id, environment, host, port HAVING count(DISTINCT ip) > 1
),
multiple AS (
  SELECT targets.run_id, targets.target_id, targets.environment, targets.host, targets.port, targets.ip
  FROM several JOIN targets ON several.run_id = targets.run_id AND several.environment = targets.environment
  AND several.host = targets.host AND several.port = targets.port
),
leaves AS (
  SELECT DISTINCT run_id, run_started_at, environment, host, port, ip, fingerprint FROM certificates
  WHERE position = 'leaf' AND host IN ({hosts})
),
judged AS (
  SELECT verdicts.run_id AS run_id, verdicts.run_started_at AS run_started_at,
    multiple.environment AS environment, host, port, ip, rule || ' ' || subject AS what,
    verdicts.status AS status
  FROM multiple JOIN verdicts ON multiple.run_id = verdicts.run_id AND multiple.target_id = verdicts.target_id
  WHERE verdicts.status IN ('pass', 'fail')
),
differing AS (
  SELECT run_id, run_started_at, environment, host, port, 'certificate' AS what,
    count(DISTINCT ip) AS addresses, count(DISTINCT fingerprint) AS answers
  FROM leaves GROUP BY run_id, run_started_at, environment, host, port
  UNION ALL
  SELECT run_id, run_started_at, environment, host, port, trim(what) AS what,
    count(DISTINCT ip) AS addresses, count(DISTINCT status) AS answers
  FROM judged GROUP BY run_id, run_started_at, environment, host, port, what
)
SELECT * FROM differing WHERE addresses > 1
"""


def differing_addresses(
    history: History, run_ids: RunIds = None, *, scope: ConfiguredScope | None = None
) -> pd.DataFrame:
    """Names whose addresses do not answer alike now, and since when.

    Columns: `environment`, `host`, `port`, `what` (`certificate`, or the rule and subject that passes at one address
    and fails at another), `addresses` (how many were compared), `since`, `duration` (up to the present run).
    """
    current = current_runs(history, run_ids)
    # Few names have several addresses, and only those that have them now can differ now.
    targets = within(
        history.targets(set(current.values()), columns=["target_id", "environment", "host", "port", "ip"]), scope
    )
    addresses = targets.groupby(["environment", "host", "port"], observed=True)["ip"].nunique()
    hosts = sorted({str(host) for _, host, _ in addresses[addresses > 1].index})
    sql = _DIFFERING.format(hosts=", ".join(map(literal, hosts)) or "NULL")
    asked = run_ids if hosts else ()
    found = frame(history.query(sql, CERTIFICATES, VERDICTS, TARGETS, run_ids=asked), TARGETS)
    key = ["environment", "host", "port", "what"]
    found = found.sort_values("run_started_at")
    alike = found[found["answers"] == 1].groupby(key, observed=True)["run_started_at"].max().rename("alike")
    differ = found[found["answers"] > 1].merge(alike, on=key, how="left")
    lasting = differ[differ["alike"].isna() | (differ["run_started_at"] > differ["alike"])]
    present = lasting["environment"].astype(str).map(current)
    now = lasting.loc[lasting["run_id"].astype(str) == present, [*key, "addresses", "run_started_at"]]
    since = lasting.groupby(key, observed=True)["run_started_at"].min().rename("since")
    table = now.merge(since, on=key)
    table["duration"] = table.pop("run_started_at") - table["since"]
    return table.sort_values(key, ignore_index=True)


_BY_APPLICATION = """
SELECT application, v.target_id, v.environment, v.rule, v.subject, v.status
FROM (SELECT run_id, target_id, environment, unnest(applications) AS application FROM targets) AS t
JOIN verdicts AS v ON v.run_id = t.run_id AND v.target_id = t.target_id
WHERE {present} AND NOT (v.status = 'not-applicable' AND v.reason = 'not-asked')
"""
_WORST_LAST = ("not-applicable", "pass", "indeterminate", "fail")


def environments_compared(
    history: History, run_ids: RunIds = None, *, scope: ConfiguredScope | None = None
) -> pd.DataFrame:
    """The same application in different environments: where a rule ends differently now.

    Index: `application`, `rule`, `subject`. One column per environment, holding the worst status among the
    application's targets there, null where it is not judged there. Rows that are alike everywhere are left out.
    """
    condition = _is_present(history, run_ids, "v.")
    sql = _BY_APPLICATION.format(present=condition)
    rows = within(frame(history.query(sql, TARGETS, VERDICTS, run_ids=run_ids)), scope).copy()
    rows["status"] = pd.Categorical(rows["status"].astype(str), _WORST_LAST, ordered=True)
    keys = ["application", "rule", "subject", "environment"]
    worst = rows.sort_values("status").drop_duplicates(keys, keep="last")
    differ = worst.groupby(keys[:3])["status"].transform("nunique") > 1
    told = worst[differ].astype({"status": str})
    table = told.pivot(index=keys[:3], columns="environment", values="status")  # noqa: PD010  # nothing to aggregate
    return table.sort_index()


def coverage(history: History, run_ids: RunIds = None) -> pd.DataFrame:
    """How much could be looked at, by run and environment, oldest first.

    Columns: `run_id`, `run_started_at`, `environment`, `targets`, `assessed`, `partial`, `unreachable`, and `share`,
    the part of the targets that was assessed in full (0 to 1).
    """
    sql = """
    SELECT run_id, run_started_at, environment, count(*) AS targets,
      count(*) FILTER (WHERE status = 'assessed') AS assessed,
      count(*) FILTER (WHERE status = 'partial') AS partial,
      count(*) FILTER (WHERE status = 'unreachable') AS unreachable
    FROM targets GROUP BY run_id, run_started_at, environment
    """
    table = frame(history.query(sql, TARGETS, run_ids=run_ids), TARGETS)
    table["share"] = table["assessed"] / table["targets"]
    return table.sort_values(["run_started_at", "run_id", "environment"], ignore_index=True)


def next_expiry(history: History, run_ids: RunIds = None) -> pd.DataFrame:
    """When the next server certificate ended, as each run saw it, oldest first.

    Columns: `run_id`, `run_started_at`, `environment`, `not_after` (the earliest among its servers' own certificates).
    """
    sql = """
    SELECT run_id, run_started_at, environment, min(not_after) AS not_after FROM certificates
    WHERE position = 'leaf' GROUP BY run_id, run_started_at, environment
    """
    table = frame(history.query(sql, CERTIFICATES, run_ids=run_ids), CERTIFICATES)
    return table.sort_values(["run_started_at", "run_id", "environment"], ignore_index=True)


def trend(history: History, run_ids: RunIds = None) -> pd.DataFrame:
    """How many verdicts of each kind, by run, environment, goal and severity, oldest first.

    Columns: `run_id`, `run_started_at`, `environment`, `goal`, `severity`, `status`, `waived`, `verdicts`.
    """
    return verdict_counts(history, run_ids).sort_values(
        ["run_started_at", "run_id", "environment", "goal", "severity", "status"], ignore_index=True
    )


def counts_of_runs(history: History, run_ids: RunIds = None) -> pd.DataFrame:
    """How each run is counted, by run id, in the words that stand for it everywhere.

    Columns: `not_met`, `notes`, `waived`, `not_assessed`, `met`, `does_not_apply`. A run without verdicts has zeros.
    """
    runs = history.runs(run_ids)
    runs = runs.set_index(runs["run_id"].astype(str))
    kinds = verdict_counts(history, run_ids)
    informing = kinds[kinds["status"].eq("fail") & ~kinds["waived"] & kinds["severity"].eq("info")]
    notes = informing.groupby(informing["run_id"].astype(str))["verdicts"].sum().reindex(runs.index, fill_value=0)
    counts = {
        "not_met": runs["failed"] - runs["waived"] - notes,
        "notes": notes,
        "waived": runs["waived"],
        "not_assessed": runs["indeterminate"],
        "met": runs["passed"],
        "does_not_apply": runs["not_applicable"],
    }
    return pd.DataFrame(counts, index=runs.index).astype("int64")


def _current_certificates(history: History, run_ids: RunIds, scope: ConfiguredScope | None) -> pd.DataFrame:
    sql = f"SELECT {', '.join(_CERTIFICATE)} FROM certificates WHERE {_is_present(history, run_ids)}"  # noqa: S608  # the schema's names, and quoted literals
    return within(frame(history.query(sql, CERTIFICATES, run_ids=run_ids), CERTIFICATES), scope).copy()


_CERTIFICATE = (
    "run_started_at", "target_id", "environment", "host", "position", "fingerprint", "spki", "subject", "issuer",
    "not_before", "not_after",
)  # fmt: skip


def _is_present(history: History, run_ids: RunIds, prefix: str = "") -> str:
    """The condition that a row is of its environment's present run."""
    current = current_runs(history, run_ids)
    pairs = [
        f"({prefix}environment = {literal(environment)} AND {prefix}run_id = {literal(run_id)})"
        for environment, run_id in current.items()
    ]
    return f"({' OR '.join(pairs)})" if pairs else "false"


def _listed(values: Any) -> Sequence[str]:
    return sorted({str(value) for value in values})
