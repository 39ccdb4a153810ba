"""The front during a search: its models, and the expected true scores."""
