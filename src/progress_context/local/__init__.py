"""One machine is enough: embedded PostgreSQL and Valkey, and supervision of our services."""
