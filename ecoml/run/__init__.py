"""A run on disk: the folder, the ledger's file, and the account and the result computed from them."""
