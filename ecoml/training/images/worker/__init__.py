"""Workers: the host's side starts and suspends trainings; the other side trains, and only it imports torch."""
