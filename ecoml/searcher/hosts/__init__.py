"""Workers on other hosts: what driver and agents tell each other, the agent of a host, and how the driver sees it."""
