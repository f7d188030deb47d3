"""Real TLS servers on loopback ports with their own authority, each named for its flaw: for the demo and the tests."""

from scanner.errors import LabError
from scanner.lab.client import Lab
from scanner.lab.manifest import LabServer

__all__ = ["Lab", "LabError", "LabServer"]
