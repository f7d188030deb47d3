"""How a release is made and checked: distributions, licences, known vulnerabilities, the container, older versions.

Nothing here is part of the wheel. Each module is a program: `python -m release.dist`.
"""
