"""What people see in a terminal: a running search, and its result."""
