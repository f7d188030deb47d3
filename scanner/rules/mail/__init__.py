"""What a mail domain says of its servers, and whether it holds."""
