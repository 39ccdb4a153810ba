"""Workers on other hosts: the messages between driver and agents, the agent of a host, and the driver's view of it."""
