"""How fast and how small a large list of revoked certificates is, asked about one certificate and about many.

    python bench/revocation.py [--megabytes 61] [--questions 1 21 500]

Prints one line per measurement, each in a process of its own: seconds of processor time from the file to the last
answer, and the most memory beyond the file. Nothing is checked; the tests do that.
"""

from __future__ import annotations

import argparse
import datetime as dt
import mmap
import multiprocessing
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.tools.memory import most_memory
from scanner.evidence import RevocationStatus
from scanner.probe.authority.crl import RevocationList

_DAY = dt.timedelta(days=1)
_ENTRY = b"\x30\x22\x02\x11\x05%b\x17\x0d260101000000Z"
_FIXED = random.Random(4)  # noqa: S311  # the same list each time


class Made(NamedTuple):
    """A list in a file, its issuer, and certificates of it, DER, of which every other one is on the list."""

    path: Path
    issuer: bytes
    asked: list[bytes]


def _der(tag: int, body: bytes) -> bytes:
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8)
    return bytes([tag]) + (bytes([len(body)]) if len(body) < 128 else bytes([0x80 | len(size)]) + size) + body  # noqa: PLR2004  # DER's short form


def make(folder: Path, megabytes: int, questions: int) -> Made:
    """Make a list of so many bytes, with serial numbers of 17 bytes that begin alike, as those of public CAs."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Issuer")])
    now = dt.datetime.now(dt.UTC)
    numbers = [_FIXED.randbytes(16) for _ in range(megabytes * 1_000_000 // len(_ENTRY % bytes(16)))]

    def certificate(subject: x509.Name, serial: int) -> bytes:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(name).public_key(key.public_key())
        dated = builder.not_valid_before(now - _DAY).not_valid_after(now + 30 * _DAY)
        return dated.serial_number(serial).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

    empty = x509.CertificateRevocationListBuilder().issuer_name(name).last_update(now).next_update(now + _DAY)
    head = empty.sign(key, hashes.SHA256()).tbs_certlist_bytes
    body = head[4:] if head[1] == 0x82 else head[3:] if head[1] == 0x81 else head[2:]  # noqa: PLR2004  # DER's lengths
    tbs = _der(0x30, body + _der(0x30, b"".join(_ENTRY % number for number in numbers)))
    algorithm = _der(0x30, bytes.fromhex("06082a8648ce3d040302"))
    signature = _der(0x03, b"\x00" + key.sign(tbs, ec.ECDSA(hashes.SHA256())))
    path = folder / "list.crl"
    path.write_bytes(_der(0x30, tbs + algorithm + signature))
    revoked = [int.from_bytes(b"\x05" + number) for number in _FIXED.sample(numbers, questions)]
    asked = [certificate(name, serial if place % 2 else serial - 1) for place, serial in enumerate(revoked)]
    return Made(path, certificate(name, 1), asked)


def measure(made: Made, questions: int) -> None:
    """Read the list, check its signature and ask."""
    issuer, *asked = map(x509.load_der_x509_certificate, (made.issuer, *made.asked[:questions]))
    before = most_memory()
    started, wall = time.process_time(), time.perf_counter()
    with made.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = RevocationList.read(data)
        found.check_signature([issuer])
        read = time.process_time() - started
        said = [found.judge(one, [], is_ca=False).status for one in asked]
    spent, wall = time.process_time() - started, time.perf_counter() - wall
    more = (most_memory() - before) / 1024
    size = made.path.stat().st_size / (1 << 20)
    revoked = said.count(RevocationStatus.REVOKED)
    spent_on = f"{spent:.2f} s of processor time ({read:.2f} s to read and check), {wall:.2f} s"
    held = f"{more:.0f} MiB, of which the file's pages are {size:.0f}"
    print(f"{questions:4} questions, {revoked:3} revoked: {spent_on}; {held}")


def main() -> None:
    """Make one list, and ask it as often as is said."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=61)
    parser.add_argument("--questions", type=int, nargs="+", default=[1, 21, 500])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = make(Path(folder), options.megabytes, max(options.questions))
        for questions in options.questions:
            process = multiprocessing.get_context("spawn").Process(target=measure, args=(made, questions))
            process.start()
            process.join()


if __name__ == "__main__":
    main()
