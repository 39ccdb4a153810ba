"""The ledger's file: its schema, its writer, and a consistent reading of it."""
