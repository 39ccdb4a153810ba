"""The ledger's file: its layout, its one writer, and what is read of it at one moment."""
