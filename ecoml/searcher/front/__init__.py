"""The front while a search goes on: its models, and what is believed of its scores."""
