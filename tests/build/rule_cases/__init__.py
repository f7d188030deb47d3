"""A table for each area of rules: evidence, and the reason that the rule must give for it."""

from tests.build.rule_cases.case import Case
from tests.build.rule_cases.certificates import CERTIFICATES
from tests.build.rule_cases.encryption import ENCRYPTION
from tests.build.rule_cases.enforcement import ENFORCEMENT
from tests.build.rule_cases.integrity import INTEGRITY
from tests.build.rule_cases.paths import PATHS
from tests.build.rule_cases.places import PLACES
from tests.build.rule_cases.vulnerabilities import VULNERABILITIES

CASES: tuple[Case, ...] = (
    *ENCRYPTION,
    *INTEGRITY,
    *CERTIFICATES,
    *PLACES,
    *VULNERABILITIES,
    *ENFORCEMENT,
    *PATHS,
)

__all__ = ["CASES", "Case"]
