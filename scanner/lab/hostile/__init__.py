"""Servers that mean ill, each named for what it does: at the stages of TCP, TLS, certificates, STARTTLS and HTTP."""

from scanner.lab.hostile.behaviour import Behaviour, Setting, Visit
from scanner.lab.hostile.serving import HOST, HostileServer, behaviours

__all__ = ["HOST", "Behaviour", "HostileServer", "Setting", "Visit", "behaviours"]
