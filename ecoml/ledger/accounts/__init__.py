"""Accounts: attribute every joule to a purpose, whether it is metered or reported."""
