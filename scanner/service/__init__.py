"""`nightseal daemon`: the nightly service. `docs/operations.md` says how to live with it."""
