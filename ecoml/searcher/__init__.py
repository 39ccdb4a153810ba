"""The search: the searcher that a user drives, the loop, and the workers."""
