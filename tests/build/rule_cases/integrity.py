"""AEAD, MACs, signatures of the handshake, protections of old versions."""

from __future__ import annotations

from scanner.evidence import Attempt, Protocol, not_run
from scanner.inventory import Role, StartTls
from scanner.verdict import Severity
from tests.build.facts import CBC, GCM, NO, TIMED_OUT, YES, World, offer, offers, tls, tls12_only, tls13_only
from tests.build.rule_cases.case import Case, of_tls

_SCHEMES = {
    "tls1.2": ["ecdsa_secp256r1_sha256"],
    "tls1.3": ["ecdsa_secp256r1_sha256"],
}


def _schemes(*names: str) -> dict[Protocol, Attempt[tuple[str, ...]]]:
    return {Protocol.TLS1_2: Attempt.ok(names), Protocol.TLS1_3: Attempt.ok(("ecdsa_secp256r1_sha256",))}


CASES = (
    of_tls("integrity.aead", "all-aead"),
    of_tls("integrity.aead", "not-aead", protocols=offers(tls1_2=offer(GCM, CBC)), observed=f"{CBC} (tls1.2)"),
    of_tls("integrity.aead", "not-observed", protocols=offers(tls1_1=TIMED_OUT)),
    of_tls("integrity.aead", "aead-everywhere", parameters={"every": False}, protocols=offers(tls1_2=offer(GCM, CBC))),
    of_tls("integrity.aead", "version-without-aead", parameters={"every": False}, protocols=offers(tls1_1=offer(CBC))),
    of_tls("integrity.aead", "not-observed", parameters={"every": False}, protocols=offers(tls1_1=TIMED_OUT)),
    of_tls("integrity.no-weak-mac", "none-accepted", protocols=offers(tls1_2=offer(GCM, CBC))),
    of_tls("integrity.no-weak-mac", "accepted", parameters={"sha1": True}, protocols=offers(tls1_2=offer(GCM, CBC))),
    of_tls("integrity.no-weak-mac", "accepted", protocols=offers(tls1_2=offer(GCM, "TLS_RSA_WITH_RC4_128_MD5"))),
    of_tls("integrity.no-weak-mac", "not-observed", protocols=offers(tls1_1=TIMED_OUT)),
    of_tls("integrity.signature-algorithms", "good"),
    of_tls("integrity.signature-algorithms", "weak-hash", signature_schemes=_schemes("rsa_pkcs1_sha1")),
    of_tls("integrity.signature-algorithms", "weak-hash", signature_schemes=_schemes("ecdsa_sha1")),
    of_tls("integrity.signature-algorithms", "weak-hash", signature_schemes=_schemes("rsa_pkcs1_md5_sha1")),
    of_tls(
        "integrity.signature-algorithms",
        "weak-hash-too",
        signature_schemes=_schemes("rsa_pkcs1_sha256", "rsa_pkcs1_sha1"),
        severity=Severity.LOW,
    ),
    of_tls(
        "integrity.signature-algorithms",
        "weak-hash",
        signature_schemes=_schemes("rsa_pkcs1_sha256", "rsa_pkcs1_md5"),
        severity=Severity.HIGH,
    ),
    of_tls("integrity.signature-algorithms", "not-observed", signature_schemes={Protocol.TLS1_2: TIMED_OUT}),
    of_tls("integrity.signature-algorithms", "not-observed", protocols=offers(tls1_2=TIMED_OUT), signature_schemes={}),
    of_tls("integrity.signature-algorithms", "good", parameters={"allowed": _SCHEMES}),
    # In TLS 1.2 nothing is signed there, so nothing was missed.
    of_tls(
        "integrity.signature-algorithms",
        "good",
        protocols=offers(tls1_2=offer("TLS_RSA_WITH_AES_128_GCM_SHA256")),
        signature_schemes={Protocol.TLS1_2: TIMED_OUT},
    ),
    of_tls(
        "integrity.signature-algorithms",
        "not-listed",
        parameters={"allowed": _SCHEMES},
        signature_schemes=_schemes("rsa_pkcs1_sha256"),
    ),
    of_tls(
        "integrity.signature-algorithms",
        "phase-out",
        parameters={"allowed": _SCHEMES, "phase_out": ["rsa_pkcs1_sha256"]},
        signature_schemes=_schemes("rsa_pkcs1_sha256"),
        severity=Severity.LOW,
    ),
    of_tls(
        "integrity.signature-algorithms",
        "not-observed",
        parameters={"allowed": _SCHEMES},
        signature_schemes={Protocol.TLS1_2: Attempt.ok(("ecdsa_secp256r1_sha256",))},
    ),
    of_tls("integrity.signature-algorithms", "good", signature_schemes={}, **tls13_only()),
    of_tls(
        "integrity.signature-algorithms",
        "not-signed",
        signature_schemes={},
        **tls12_only("TLS_RSA_WITH_AES_128_GCM_SHA256"),
    ),
    of_tls("integrity.encrypt-then-mac", "no-cbc"),
    of_tls("integrity.encrypt-then-mac", "there", encrypt_then_mac=YES, **tls12_only(GCM, CBC)),
    of_tls("integrity.encrypt-then-mac", "missing", encrypt_then_mac=NO, **tls12_only(GCM, CBC)),
    of_tls("integrity.encrypt-then-mac", "not-observed", encrypt_then_mac=TIMED_OUT, **tls12_only(GCM, CBC)),
    of_tls("integrity.encrypt-then-mac", "not-observed", protocols=offers(tls1_1=TIMED_OUT)),
    of_tls("integrity.encrypt-then-mac", "not-observed", protocols=offers(tls1_2=offer(), tls1_3=offer())),
    of_tls("integrity.extended-master-secret", "there"),
    of_tls("integrity.extended-master-secret", "missing", extended_master_secret=NO),
    of_tls("integrity.extended-master-secret", "not-observed", extended_master_secret=TIMED_OUT),
    of_tls("integrity.extended-master-secret", "tls1.3-alone", **tls13_only(extended_master_secret=TIMED_OUT)),
    of_tls(
        "integrity.extended-master-secret",
        "ssl-alone",
        extended_master_secret=NO,
        protocols=offers(tls1_2=offer(), tls1_3=offer(), ssl3=offer("TLS_RSA_WITH_RC4_128_SHA")),
    ),
    of_tls("integrity.secure-renegotiation", "there"),
    of_tls(
        "integrity.secure-renegotiation",
        "missing",
        secure_renegotiation=NO,
        observed="no secure renegotiation",
        expected="secure renegotiation",
    ),
    of_tls("integrity.secure-renegotiation", "not-observed", secure_renegotiation=TIMED_OUT),
    of_tls("integrity.secure-renegotiation", "tls1.3-alone", **tls13_only(secure_renegotiation=NO)),
    of_tls("integrity.secure-renegotiation", "not-observed", protocols=offers(tls1_2=offer(), tls1_3=offer())),
    of_tls("integrity.fallback-scsv", "tls1.3"),
    of_tls("integrity.fallback-scsv", "one-version", observed="tls1.2", **tls12_only()),
    of_tls("integrity.fallback-scsv", "there", **tls12_only(GCM, tls1_1=offer(CBC))),
    of_tls("integrity.fallback-scsv", "missing", fallback_scsv=NO, **tls12_only(GCM, tls1_1=offer(CBC))),
    of_tls("integrity.fallback-scsv", "not-observed", fallback_scsv=TIMED_OUT, **tls12_only(GCM, tls1_1=offer(CBC))),
    of_tls("integrity.fallback-scsv", "not-observed", **tls12_only(GCM, tls1_1=TIMED_OUT)),
    # Two versions are enough for a downgrade, whatever else there is.
    of_tls(
        "integrity.fallback-scsv", "missing", fallback_scsv=NO, **tls12_only(GCM, tls1_1=offer(CBC), ssl3=TIMED_OUT)
    ),
    of_tls("integrity.fallback-scsv", "not-observed", protocols=offers(tls1_1=offer(CBC), tls1_3=TIMED_OUT)),
    of_tls("integrity.no-early-data", "off"),
    of_tls("integrity.no-early-data", "on", early_data=YES),
    of_tls("integrity.no-early-data", "not-observed", early_data=TIMED_OUT),
    of_tls("integrity.no-early-data", "on", max_early_data_size=Attempt.ok(16_384)),
    of_tls("integrity.no-early-data", "on", early_data=TIMED_OUT, max_early_data_size=Attempt.ok(1)),
    of_tls("integrity.no-early-data", "off", early_data=not_run(), max_early_data_size=Attempt.ok(0)),
    # A HelloRetryRequest refuses early data, whatever the server allows.
    of_tls("integrity.no-early-data", "not-observed", groups={Protocol.TLS1_3: Attempt.ok(("secp384r1",))}),
    of_tls(
        "integrity.no-early-data",
        "off",
        groups={Protocol.TLS1_3: Attempt.ok(("secp384r1",))},
        max_early_data_size=Attempt.ok(0),
    ),
    Case(
        "integrity.no-early-data",
        "starttls",
        World(tls=tls(early_data=not_run()), role=Role.SERVER, starttls=StartTls.SMTP, http_port=None),
    ),
    of_tls("integrity.no-early-data", "no-tls1.3", early_data=TIMED_OUT, **tls12_only()),
)
