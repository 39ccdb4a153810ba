"""What the tests use in place of hardware, trainings and long searches."""
