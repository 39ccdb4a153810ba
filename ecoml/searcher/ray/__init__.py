"""Agents on the nodes of a Ray cluster: the transport alone; agents and driver know nothing of Ray."""
