"""What a search's joules are read from, and what the next step may take of the budget."""
