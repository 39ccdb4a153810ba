"""What makes a raw counter a true one: wraps, resets, late updates, doubled dies, the clock."""
