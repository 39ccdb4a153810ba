"""What people see in a terminal: a running search, and what came of it."""
