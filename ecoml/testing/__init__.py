"""Conformance suites for any strategy, executor or meter, built in or not; and simulated hosts to meter."""
