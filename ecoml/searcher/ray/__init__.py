"""Agents on the nodes of a Ray cluster: only the transport; agents and driver do not depend on Ray."""
