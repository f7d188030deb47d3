"""What nobody would write: damaged configurations, policies and staples end in problems that are told, or in nothing.

Hello answers, certificates, HTTP and STARTTLS preludes are made up beside the tests of what reads them. The same seeds
are used each time, so that a failure is one tomorrow; `make fuzz` tries forty times as many, each time others.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanner import policy
from scanner.config import loading as config
from scanner.errors import ConfigError, PolicyError
from scanner.lab.certificates import CertificateAuthority, CertificateRecipe
from scanner.probe.x509.parsing import certificate_from_der
from scanner.probe.x509.staple import staple_of

ROOT = Path(__file__).parent.parent.parent
CONFIGURATION = (ROOT / "config.toml").read_text()
POLICIES = {name: (ROOT / "scanner" / "policies" / f"{name}.toml").read_text() for name in policy.builtin_names()}
WORDS = (
    "",
    "0",
    "-1",
    "1e999",
    "true",
    '"',
    "'",
    "[",
    "]]",
    "{",
    "=",
    "\x00",
    "\u202e",
    "🦭",
    "9" * 50,
    "nan",
    "\r",
    "\\u",
)
seeded = settings(
    derandomize=os.environ.get("NIGHTSEAL_HYPOTHESIS") != "fuzz",
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
damages = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 40), st.one_of(st.sampled_from(WORDS), st.text(max_size=20))),
    min_size=1,
    max_size=6,
)


def damaged(text: str, damage: list[tuple[float, int, str]]) -> str:
    """The text with pieces of it replaced: each at a part of its length, so many characters, by something else."""
    for place, length, word in damage:
        at = int(place * len(text))
        text = text[:at] + word + text[at + length :]
    return text


@seeded
@given(damages)
def test_a_damaged_configuration_is_read_or_its_problems_are_told(damage):
    told(
        lambda: config.parse(
            damaged(CONFIGURATION, damage), source="config.toml", folder=ROOT, environ={}, today=date(2026, 1, 1)
        ),
        ConfigError,
    )


@seeded
@given(st.sampled_from(sorted(POLICIES)), damages)
def test_a_damaged_policy_is_read_or_its_problems_are_told(tmp_path, name, damage):
    path = tmp_path / "damaged.toml"
    path.write_text(damaged(POLICIES[name], damage), encoding="utf-8", errors="replace")

    told(lambda: policy.load(str(path)), PolicyError)


def told(read: Callable[[], object], kind: type[ConfigError]) -> None:
    """Nothing is raised but problems, each with words."""
    problems = None
    try:
        read()
    except kind as error:
        problems = [str(problem) for problem in error.problems]
    assert problems is None or (problems and all(problems))


NOW = datetime(2026, 1, 1, tzinfo=UTC)
AUTHORITY = CertificateAuthority(NOW)
LEAF = AUTHORITY.issue(CertificateRecipe(), "fuzz.example")
STAPLE = (
    ocsp.OCSPResponseBuilder()
    .add_response(
        cert=LEAF.chain[0],
        issuer=LEAF.chain[1],
        algorithm=hashes.SHA256(),
        cert_status=ocsp.OCSPCertStatus.GOOD,
        this_update=NOW,
        next_update=NOW + timedelta(days=3),
        revocation_time=None,
        revocation_reason=None,
    )
    .responder_id(ocsp.OCSPResponderEncoding.HASH, LEAF.chain[1])
    .sign(AUTHORITY.intermediate.key, hashes.SHA256())
    .public_bytes(Encoding.DER)
)
CHAIN = [
    attempt.value
    for one in LEAF.chain
    if (attempt := certificate_from_der(one.public_bytes(Encoding.DER))).value is not None
]


def test_the_sound_staple_is_good():
    assert len(CHAIN) == len(LEAF.chain)
    staple = staple_of(STAPLE, CHAIN)
    assert staple is not None
    assert (staple.certificate_status, staple.verified) == ("good", True)


@seeded
@given(st.lists(st.tuples(st.integers(0, len(STAPLE) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_staple_is_never_good(damage):
    bytes_ = bytearray(STAPLE)
    for place, byte in damage:
        bytes_[place] = byte
    staple = staple_of(bytes(bytes_), CHAIN)
    assert bytes(bytes_) == STAPLE or staple is None or not _covers(STAPLE, bytes(bytes_), staple)


def _covers(sound: bytes, changed: bytes, staple: object) -> bool:
    """Whether a staple is taken as good although what its signature covers was changed."""
    try:
        before, after = ocsp.load_der_ocsp_response(sound), ocsp.load_der_ocsp_response(changed)
    except (ValueError, x509.InvalidVersion):
        return True
    return getattr(staple, "certificate_status", "") == "good" and before.tbs_response_bytes != after.tbs_response_bytes
