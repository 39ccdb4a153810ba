"""What a notebook shows: HTML of results, trials, spaces and accounts, and charts of a result."""
