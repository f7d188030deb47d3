"""JSON: the report with its published schema (`nightseal.report/1`), and the evidence in it."""
