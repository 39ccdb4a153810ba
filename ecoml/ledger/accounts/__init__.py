"""Accounts: whose every joule is, as metered or as reported."""
