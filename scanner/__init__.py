"""Nightseal's scanner: configuration in, evidence and verdicts out.

The stages are apart on purpose: probes observe and judge nothing, rules judge and do no I/O.
`docs/architecture.md` draws the whole.
"""

__version__ = "0.1.0"
