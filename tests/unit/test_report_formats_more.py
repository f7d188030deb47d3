"""Formats beside the first ones: spreadsheets' CSV, CycloneDX 1.7, and the schema that describes all of the JSON."""

from __future__ import annotations

import csv
import io
import json

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from reports.export.csv import COLUMNS, to_csv
from reports.export.cyclonedx import to_cyclonedx, to_cyclonedx_1_7
from reports.export.json.v1 import published_schema
from reports.language import separator_of
from reports.view import ReportOptions
from scanner.jobs.drawing import excel_csv
from scanner.jobs.output import Rendering
from tests.build.judged import judged_record

RECORD = judged_record(2).record


@pytest.mark.parametrize(("language", "separator"), [("en", ","), ("pt", ";"), ("pt-BR", ";")])
def test_a_table_for_spreadsheets_has_the_separator_of_its_language(language: str, separator: str) -> None:
    assert separator_of(language) == separator
    told = b"".join(excel_csv(Rendering(RECORD, options=ReportOptions(language=language))))
    assert told.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(told.decode("utf-8-sig"), newline=""), delimiter=separator))
    assert rows[0] == list(COLUMNS)
    assert len(rows) == 1 + len(list(csv.reader(io.StringIO(to_csv(RECORD), newline="")))[1:])


def test_cyclonedx_1_7_is_valid_and_says_what_1_6_says() -> None:
    newer, older = to_cyclonedx_1_7(RECORD), to_cyclonedx(RECORD)
    assert JsonStrictValidator(SchemaVersion.V1_7).validate_str(newer) is None
    assert json.loads(newer)["specVersion"] == "1.7"
    names = [{item["name"] for item in json.loads(text)["components"]} for text in (newer, older)]
    assert names[0] == names[1]


def test_every_property_of_the_json_is_described() -> None:
    schema = published_schema()
    bare = [
        (model, name)
        for model, part in (("", schema), *schema["$defs"].items())
        for name, form in part.get("properties", {}).items()
        if not form.get("description")
    ]
    assert bare == []
