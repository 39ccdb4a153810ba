"""What people are shown of a run: sentences and numbers, the terminal, the page, its charts."""
