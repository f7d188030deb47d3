"""All servers of the lab, as data. A new one is one `Case` in one of these modules, and a row in docs/lab.md."""

from scanner.lab.case import Case
from scanner.lab.cases import applications, authenticity, encryption, enforcement, failing, starttls

CASES: tuple[Case, ...] = (
    *authenticity.CASES,
    *encryption.CASES,
    *enforcement.CASES,
    *applications.CASES,
    *failing.CASES,
    *starttls.CASES,
)
