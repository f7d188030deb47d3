"""Which keys the verifier of paths takes: pinned, because a newer `cryptography` may take more than browsers do.

Version 50 takes ML-DSA-65 roots and leaves, which no browser does in a certificate: where these tests fail after an
upgrade, decide what `cert.trusted` and `cert.key` are to say of the new kind before the pins are changed.
"""

from __future__ import annotations

import importlib.util
import inspect

import cryptography.hazmat.primitives.asymmetric.types as key_types
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from scanner.probe.x509.trust import validate_paths
from tests.unit.test_trust import ROOT, ROOT_KEY, evidence, issued

KEYS = {
    "rsa-2048": lambda: rsa.generate_private_key(65_537, 2048),
    "p-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "brainpool": lambda: ec.generate_private_key(ec.BrainpoolP256R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
}
AS_LEAF = {"rsa-2048", "p-256", "p-384", "p-521", "brainpool", "secp256k1", "ed25519", "ed448"}
"""A leaf's own key is not looked at by the verifier: `cert.key` says what browsers take."""
AS_CA = {"rsa-2048", "p-256", "p-384", "p-521"}


def trusted(tmp_path, *sent: x509.Certificate) -> bool:
    pem = tmp_path / "root.pem"
    pem.write_bytes(ROOT.public_bytes(Encoding.PEM))
    (path,) = validate_paths([evidence(item) for item in sent], [str(pem)])
    return path.trusted


@pytest.mark.parametrize("kind", KEYS)
def test_which_keys_a_leaf_may_have(tmp_path, kind: str) -> None:
    assert trusted(tmp_path, issued("a.example", "Root", KEYS[kind](), ROOT_KEY)) is (kind in AS_LEAF)


@pytest.mark.parametrize("kind", [name for name in KEYS if not name.startswith("ed")])
def test_which_keys_an_intermediate_may_have(tmp_path, kind: str) -> None:
    key = KEYS[kind]()
    middle = issued("Middle", "Root", key, ROOT_KEY, ca=True)
    assert trusted(tmp_path, issued("a.example", "Middle", KEYS["p-256"](), key), middle) is (kind in AS_CA)


def test_there_are_no_other_kinds_of_keys_that_a_newer_version_might_take() -> None:
    known = {member.__name__ for member in key_types.CertificatePublicKeyTypes.__args__ if inspect.isclass(member)}
    assert known == {"DSAPublicKey", "Ed25519PublicKey", "Ed448PublicKey", "EllipticCurvePublicKey", "RSAPublicKey",
                     "X25519PublicKey", "X448PublicKey"}  # fmt: skip
    assert importlib.util.find_spec("cryptography.hazmat.primitives.asymmetric.mldsa") is None, (
        "ML-DSA has come: no browser takes it in certificates, see the top of this file"
    )
