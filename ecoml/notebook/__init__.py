"""What a notebook shows: results, trials, spaces and accounts as HTML, and charts of a result."""
