"""A grade from A+ to F, T and M, after the published method of SSL Labs (Server Rating Guide 2009, up to 2009r).

It says how a server looks to a well-known yardstick, and nothing of compliance: no verdict comes from it, and it comes
from no policy. It is ours, not Qualys': the guide is public, their implementation sees some things that this scanner
does not look at (`NOT_LOOKED_AT`), or only where a rule is asked for (`ONLY_IF_ASKED`). Where the evidence lacks what
the method needs, there is no grade, and it says why.

Source: https://github.com/ssllabs/research/wiki/SSL-Server-Rating-Guide
"""

from scanner.grade.grading import Grade, GradeReason, explained, grade, in_words
from scanner.grade.method import METHOD, NOT_LOOKED_AT, ONLY_IF_ASKED, Effect

__all__ = [
    "METHOD",
    "NOT_LOOKED_AT",
    "ONLY_IF_ASKED",
    "Effect",
    "Grade",
    "GradeReason",
    "explained",
    "grade",
    "in_words",
]
