"""What a file in PEM says of its own that it holds, without reading any of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_LARGEST: Final = 1 << 20
"""Bytes that are looked at: keys and requests have a hundredth of it."""
_LABEL: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_WITH_CERTIFICATES: Final = frozenset({b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE", b"PKCS7", b"CMS"})


def holds_no_certificate(path: Path) -> bool:
    """Whether a file is one of keys, requests, lists or parameters alone. Of what cannot be read that is not known."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError:
        return False
    labels = set(_LABEL.findall(data)) if len(data) <= _LARGEST else set()
    return bool(labels) and labels.isdisjoint(_WITH_CERTIFICATES)
