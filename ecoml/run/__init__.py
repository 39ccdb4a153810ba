"""A run on disk, and what it amounts to: the folder, the ledger's file, the account, the result."""
