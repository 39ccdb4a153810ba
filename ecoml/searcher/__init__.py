"""The search itself: what a user drives, the loop, and the workers that it advances."""
