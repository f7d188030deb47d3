"""Which clients connect to a server, computed from what the server was seen to accept: no client is started.

`clients.toml` beside this module has what each client offers and demands, each with its sources; docs/clients.md says
how sure that is, and how it is brought up to date.
"""

from scanner.clients.outcome import Outcome, Why
from scanner.clients.profile import Client, all_clients
from scanner.clients.server import Server, server_of
from scanner.clients.simulation import connect

__all__ = ["Client", "Outcome", "Server", "Why", "all_clients", "connect", "server_of"]
