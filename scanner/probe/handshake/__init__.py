"""What only a real handshake shows. The only package that sees sslyze and nassl."""
