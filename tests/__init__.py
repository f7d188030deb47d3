"""Makes `tests.build` importable, whatever other package named `tests` a dependency may have installed."""
