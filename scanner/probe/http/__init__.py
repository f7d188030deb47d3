"""What a target answers over HTTP and HTTPS. The only package that sees httpcore and turbohtml."""
