"""Data in further forms: a CSV that lists images, arrays in memory, a torch data set."""
