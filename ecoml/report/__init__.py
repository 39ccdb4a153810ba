"""What people see of a run: the terminal, the page, and its charts."""
