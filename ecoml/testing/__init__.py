"""What any strategy, executor or meter must pass, ours and those of others; and simulated hosts to meter."""
