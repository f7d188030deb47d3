"""State files of older versions, brought into the present form, each in the transaction that opens it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, MetaData, Table, insert, inspect, select, text

_OLD = "alarms_of_targets"


def alarms_by_endpoint(connection: Connection, alarms: Table) -> None:
    """From version 1: an alarm was of one target, `environment/host:port@address`; now of its endpoint.

    Of several addresses the one that fails counts, and of those the one that has failed longest. Where it fails at none
    any more, what is remembered is the trail of one of them.
    """
    if not inspect(connection).has_table(alarms.name):
        return
    connection.execute(text(f"ALTER TABLE {alarms.name} RENAME TO {_OLD}"))
    alarms.create(connection)
    # As they are stored: moments stay the texts that they are.
    old, new = (Table(name, MetaData(), autoload_with=connection) for name in (_OLD, alarms.name))
    merged: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    rows = connection.execute(select(old).order_by(old.c.failing.desc(), old.c.flapping.desc(), old.c.since))
    for row in rows.mappings().all():
        endpoint, _, address = str(row["target"]).rpartition("@")
        key = str(row["schedule"]), endpoint, str(row["rule"]), str(row["subject"])
        values = {name: row[name] for name in row if name != "target"}
        kept = merged.setdefault(key, {**values, "endpoint": endpoint, "levels": "", "held": [], "places": []})
        if row["failing"]:
            kept["places"].append("" if address == "unresolved" else address)
    if merged:
        connection.execute(insert(new), list(merged.values()))
    old.drop(connection)


def alarms_with_sightings(connection: Connection, alarms: Table) -> None:
    """From version 2: an alarm did not know when it was last seen at each address; that is so from the next run on."""
    inspected = inspect(connection)
    if inspected.has_table(alarms.name) and "seen" not in {item["name"] for item in inspected.get_columns(alarms.name)}:
        connection.execute(text(f"ALTER TABLE {alarms.name} ADD COLUMN seen JSON"))


def messages_that_wait(connection: Connection, outbox: Table) -> None:
    """From version 3: no message waited for reports, which were drawn before receivers were told."""
    inspected = inspect(connection)
    names = {item["name"] for item in inspected.get_columns(outbox.name)} if inspected.has_table(outbox.name) else set()
    if names and "held_until" not in names:
        connection.execute(text(f"ALTER TABLE {outbox.name} ADD COLUMN held_until VARCHAR(32)"))
