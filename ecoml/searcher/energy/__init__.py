"""The energy of a search: metering it, and forecasting the next step."""
