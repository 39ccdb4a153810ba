"""Workers: the host's side, which starts and suspends trainings, and the side that trains, and alone imports torch."""
