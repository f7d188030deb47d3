"""Over many nights: which certificate took whose place at an endpoint, and whether that was a renewal."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta

import pandas as pd
from click.testing import CliRunner

from scanner.app.cli import cli
from scanner.evidence import Attempt, StoreTrust
from scanner.history import History
from scanner.history.replaced import certificate_changes
from tests.build.histories import recorded
from tests.build.records import FIRST_NIGHT, sample_history, sample_record


def test_what_changed_in_five_nights_and_what_of_it_was_a_renewal(tmp_path) -> None:
    history = recorded(tmp_path / "history", sample_history())
    found = certificate_changes(history)
    # At the shop one address takes what the other has had all the time: that is no certificate that came.
    assert found["endpoint"].tolist() == ["production/mail.example.com:25"]
    mail = found.iloc[0]
    assert mail["since"] == FIRST_NIGHT + timedelta(days=4)
    assert bool(mail["expected"])
    assert [text.partition(":")[0] for text in mail["changes"]] == ["lifetime"]
    assert mail["previous"] != mail["fingerprint"]
    assert certificate_changes(history, [record.run.id for record in sample_history()[:4]]).empty

    config = tmp_path / "config.toml"
    config.write_text(f'[nightseal]\nhistory = "{tmp_path / "history"}"\n')
    ask = ["history", "renewals", "--config", str(config), "--format", "json"]
    answer = CliRunner().invoke(cli, ask)
    assert answer.exit_code == 0, answer.output
    (row,) = json.loads(answer.output)
    assert row["endpoint"] == "production/mail.example.com:25"
    assert json.loads(CliRunner().invoke(cli, [*ask, "--surprising"]).output) == []


def test_an_empty_history_has_the_same_columns(tmp_path) -> None:
    empty = certificate_changes(History.open(tmp_path / "history", create=True))
    assert empty.empty
    assert {"since", "endpoint", "expected", "changes", "previous"} <= set(empty.columns)
    assert isinstance(empty, pd.DataFrame)


def test_what_any_browser_trusts_is_publicly_trusted(tmp_path) -> None:
    record = sample_record(0)
    (first, *others) = record.targets
    tls = first.evidence.tls.value
    (shown,) = tls.certificates.value
    told = {}
    for store, trusted in (("apple", True), ("java", True), ("apple", False)):
        stores = (StoreTrust(store, trusted, FIRST_NIGHT),)
        deployments = Attempt.ok((dataclasses.replace(shown, stores=stores),))
        evidence = dataclasses.replace(
            first.evidence, tls=Attempt.ok(dataclasses.replace(tls, certificates=deployments))
        )
        history = History.open(tmp_path / f"{store}-{trusted}", create=True)
        history.append(dataclasses.replace(record, targets=(dataclasses.replace(first, evidence=evidence), *others)))
        rows = history.certificates()
        leaf = rows[(rows["target_id"] == first.id) & (rows["position"] == "leaf")]
        told[store, trusted] = bool(leaf["publicly_trusted"].iloc[0])
    assert told == {("apple", True): True, ("java", True): False, ("apple", False): False}
