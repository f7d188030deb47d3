"""What the commands and the service share: jobs, output, reporting."""
