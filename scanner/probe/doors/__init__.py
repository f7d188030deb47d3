"""Ways to a host that a connection to its port does not show. The only user of aioquic and hstspreload."""
