"""What the commands do: one module for each, imported when it is called."""
