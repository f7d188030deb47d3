"""Receivers of notifications that tests of the service have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.build.receivers import PASSWORD, MailServer, Webhook


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[MailServer]:
    server = MailServer(tmp_path, password=PASSWORD)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def hook() -> Iterator[Webhook]:
    receiver = Webhook()
    yield receiver
    receiver.stop()
