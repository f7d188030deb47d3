"""What a configuration has: whatever else a history knows of is retired, and left out of what is so now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from msgspec import Struct

if TYPE_CHECKING:
    import pandas as pd

    from scanner.inventory import Inventory

AD_HOC: Final = "ad-hoc"
"""The environment of hosts that were named on the command line: no configuration ever had it."""


class ConfiguredScope(Struct, frozen=True):
    """The names of environments, and the ids of endpoints (`environment/host:port`), that a configuration has."""

    environments: frozenset[str]
    endpoints: frozenset[str]

    @classmethod
    def of(cls, inventory: Inventory) -> Self | None:
        """The scope of an inventory; None where that is empty, so that nothing can be told to be retired."""
        endpoints = frozenset(endpoint.id for endpoint in inventory.endpoints)
        if not endpoints:
            return None
        return cls(frozenset(environment.name for environment in inventory.environments) | {AD_HOC}, endpoints)

    def has(self, endpoint: str) -> bool:
        """Whether the configuration has an endpoint, or never had to have it."""
        return endpoint in self.endpoints or endpoint.partition("/")[0] == AD_HOC

    def of_frame(self, frame: pd.DataFrame) -> pd.Series[bool]:
        """Which rows are of endpoints that the configuration has, by their `target_id`."""
        known = {name: self.has(name.rpartition("@")[0]) for name in frame["target_id"].astype(str).unique()}
        return frame["target_id"].astype(str).map(known).astype(bool)


def within(frame: pd.DataFrame, scope: ConfiguredScope | None) -> pd.DataFrame:
    """The rows that are of endpoints which the configuration has; all of them without one."""
    return frame if scope is None else frame[scope.of_frame(frame)]
