"""Imported by the server from which workers are forked, so that no worker has to load or read any of it again."""

from __future__ import annotations

import contextlib
import warnings

from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives.serialization import Encoding

from scanner.errors import TrustStoreError
from scanner.evidence import Protocol
from scanner.probe import iana
from scanner.probe.handshake import probe as handshake
from scanner.probe.survey.primes import known_primes
from scanner.probe.x509.chains import deployment_of
from scanner.probe.x509.trust import MOZILLA, load_store, prepare_store

__all__ = ["backend", "handshake"]

known_primes()
for _protocol in Protocol:
    iana.offered_suites(_protocol)
    iana.offered_groups(_protocol)
    iana.offered_schemes(_protocol)
# Where it can't be read, the run says so itself.
with contextlib.suppress(TrustStoreError), warnings.catch_warnings():
    # An old root has a serial number of zero; it is the stores' business whom they trust.
    warnings.simplefilter("ignore")
    prepare_store(MOZILLA)
    # Libraries do much only when they read their first certificate: here that is done once, and not by every worker.
    deployment_of(
        [load_store(MOZILLA).roots[0].public_bytes(Encoding.DER)], (MOZILLA,), with_sni=True, protocol=Protocol.TLS1_3
    )
