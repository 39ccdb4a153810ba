"""Training executors: objects that train a configuration and return measurements, behind one protocol."""
