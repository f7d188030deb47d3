"""When which certificate took the place of which, over all runs: renewals, and what was none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from scanner.history.episodes import ENDPOINT
from scanner.history.frames import frame
from scanner.history.renewals import Presented, is_expected, nearest, paired
from scanner.history.schema import CERTIFICATES
from scanner.history.store import History

_SEEN = f"""
, placed AS (SELECT *, {ENDPOINT} AS endpoint FROM certificates WHERE position = 'leaf')
SELECT endpoint, environment, host, port, fingerprint, min(run_started_at) AS since, min(issuer) AS issuer,
  min(spki) AS spki, min(key_type) AS key_type, min(key_bits) AS key_bits, min(curve) AS curve,
  first_value(dns_names) AS dns_names, first_value(ip_addresses) AS ip_addresses, min(not_before) AS not_before,
  min(not_after) AS not_after, bool_or(trusted) AS trusted, bool_or(publicly_trusted) AS publicly_trusted
FROM placed GROUP BY endpoint, environment, host, port, fingerprint
"""  # noqa: S608  # the schema's names alone
_COLUMNS = (
    "since", "endpoint", "environment", "host", "port", "expected", "changes", "fingerprint", "previous", "issuer",
    "not_after",
)  # fmt: skip


def certificate_changes(history: History, run_ids: Iterable[str] | None = None) -> pd.DataFrame:
    """Every certificate that took another one's place at an endpoint, the newest first.

    Columns: `since` (the first run that saw it there), `endpoint`, `environment`, `host`, `port`, `expected` (whether
    it is what renewing does: the same names, of the same authority), `changes` (list of what is other, in words),
    `fingerprint`, `previous` (the fingerprint of the one whose place it took; null where it came beside the others),
    `issuer`, `not_after`. A certificate that comes back counts once.
    """
    seen = frame(history.query(_SEEN, CERTIFICATES, run_ids=run_ids), CERTIFICATES)
    rows = []
    for endpoint, found in seen.groupby("endpoint", observed=True):
        rows += list(_replaced(str(endpoint), found.sort_values(["since", "fingerprint"])))
    table = pd.DataFrame(rows, columns=list(_COLUMNS)).astype(
        {"since": seen["since"].dtype, "not_after": seen["not_after"].dtype, "expected": "bool"}
    )
    return table.sort_values(["since", "endpoint"], ascending=[False, True], ignore_index=True)


def _replaced(endpoint: str, found: pd.DataFrame) -> Iterable[dict[str, Any]]:
    """What took which place at one endpoint; what its first run saw took none's."""
    there: list[tuple[str, Presented]] = []
    for since, group in found.groupby("since"):
        came = [(str(row["fingerprint"]), _presented(row)) for _, row in group.iterrows()]
        if not there:
            there = came
            continue
        for before, after in paired(there, came):
            if after is None:
                continue
            twins = [before] if before is not None else there
            changes = nearest([twin[1] for twin in twins], after[1])
            if before is not None:
                there.remove(before)
            first = group.iloc[0]
            yield {
                "since": since, "endpoint": endpoint, "environment": first["environment"], "host": first["host"],
                "port": first["port"], "expected": is_expected(changes), "changes": [str(item) for item in changes],
                "fingerprint": after[0], "previous": before[0] if before is not None else None,
                "issuer": after[1].issuer, "not_after": after[1].not_after,
            }  # fmt: skip
        there += came


def _presented(row: pd.Series[Any]) -> Presented:
    curve, trusted = row["curve"], row["trusted"]
    words = {"trusted": "a chosen store", "publicly_trusted": "the public web"}
    stores = frozenset(words[name] for name in words if not pd.isna(row[name]) and bool(row[name]))
    return Presented(
        str(row["fingerprint"]),
        str(row["issuer"]),
        str(row["spki"]),
        f"{row['key_type']} {row['key_bits'] if pd.isna(curve) else curve}",
        frozenset((*(row["dns_names"] or ()), *(row["ip_addresses"] or ()))),
        row["not_before"].to_pydatetime(),
        row["not_after"].to_pydatetime(),
        None if pd.isna(trusted) else stores,
        frozenset(words.values()) - stores,
    )
