"""Imported by the server from which workers are forked, so that no worker has to load or read any of it again."""

from __future__ import annotations

import contextlib

from cryptography.hazmat.backends.openssl import backend

from scanner.errors import TrustStoreError
from scanner.evidence import Protocol
from scanner.probe import iana
from scanner.probe.handshake import probe as handshake
from scanner.probe.survey.primes import known_primes
from scanner.probe.x509.trust import MOZILLA, prepare_store

__all__ = ["backend", "handshake"]

known_primes()
for _protocol in Protocol:
    iana.offered_suites(_protocol)
    iana.offered_groups(_protocol)
    iana.offered_schemes(_protocol)
# Where it can't be read, the run says so itself.
with contextlib.suppress(TrustStoreError):
    prepare_store(MOZILLA)
