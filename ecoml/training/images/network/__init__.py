"""The network: its plan, its parameters, memory and arithmetic, and the module itself."""
