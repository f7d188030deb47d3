"""Servers which do not speak TLS at all, or which stop doing so: what a scanner has to survive."""

from scanner.lab.case import Case, Raw, expect

CASES = (
    Case(
        name="silent",
        description="Accepts connections and never says anything",
        engine=Raw("silent"),
        plain=None,
        status="unreachable",
        expected=expect(indeterminate="proto.no-tls1.0 cert.trusted cert.valid-now"),
    ),
    Case(
        name="closed-port",
        description="Refuses connections",
        engine=Raw("closed"),
        plain=None,
        status="unreachable",
        expected=expect(indeterminate="proto.no-tls1.0 cert.trusted cert.valid-now"),
    ),
)
