"""Charts as inline SVG: of a run, and of the last 90 days."""
