"""What the PDF claims, by the validator of the PDF Association's own industry: veraPDF (`make test-verapdf`)."""

from __future__ import annotations

from pathlib import Path

import pikepdf
import pytest
from msgspec import structs

from reports.render import Attachment, ReportProof, render_pdf
from reports.view import ReportOptions, build_view
from reports.view.options import Edition
from scanner.rules import all_rules
from tests.build.judged import WAIVERS, judged_record
from tests.build.verapdf import verapdf
from tests.reports.test_report_listing import view as view_of_many
from tests.reports.test_report_signature_lasts import signed, world

OPTIONS = ReportOptions(organisation="Bank \U0001f512 of 東京 & Ω", prepared_by="Jane Doe", sign_off=True)
ATTACHMENT = Attachment("run.json", b"{}", "The run, as data")


def drawn(options: ReportOptions) -> bytes:
    judged = judged_record(4)
    view = build_view(
        judged.record,
        rules=all_rules(),
        environments=judged.environments,
        policies=judged.policies,
        waivers=WAIVERS,
        options=options,
    )
    return render_pdf(view, proof=ReportProof("run.json", "ab" * 32), attachments=[ATTACHMENT])


@pytest.mark.verapdf
@pytest.mark.timeout(300)
def test_verapdf_finds_nothing(tmp_path: Path) -> None:
    """Characters that no font has, for management, in Portuguese, with a signature that lasts, and over many targets."""
    (tmp_path / "full.pdf").write_bytes(drawn(OPTIONS))
    (tmp_path / "short.pdf").write_bytes(drawn(structs.replace(OPTIONS, edition=Edition.MANAGEMENT)))
    (tmp_path / "pt.pdf").write_bytes(drawn(structs.replace(OPTIONS, language="pt")))
    (tmp_path / "many.pdf").write_bytes(render_pdf(view_of_many(), attachments=[ATTACHMENT], apart=True))
    with world(tmp_path) as here:
        (tmp_path / "signed.pdf").write_bytes(signed(here))
    files = [tmp_path / f"{name}.pdf" for name in ("full", "short", "pt", "many", "signed")]

    checks, failed = verapdf(tmp_path, files)

    assert failed == []
    assert checks > 10_000


@pytest.mark.verapdf
def test_verapdf_would_find_something(tmp_path: Path) -> None:
    pdf = pikepdf.new()
    pdf.add_blank_page()
    pdf.save(tmp_path / "bare.pdf")
    _, failed = verapdf(tmp_path, [tmp_path / "bare.pdf"])
    assert any(line.startswith("failed 3a") for line in failed)
    assert any(line.startswith("failed ua1") for line in failed)
