"""Effects: which parameters moved energy and score, by rank statistics over trials."""
