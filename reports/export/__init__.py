"""The machine formats: one module per format, each written against its published schema or a real consumer."""
