"""What a search is told before it begins."""
