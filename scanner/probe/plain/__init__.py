"""What is taken in plain before a connection is upgraded to TLS."""
