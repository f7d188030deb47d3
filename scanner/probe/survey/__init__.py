"""What a server accepts, found by ClientHello messages alone."""
