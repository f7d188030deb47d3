"""Two TLS engines, one answer: what each asks, and how what they saw is put together."""
