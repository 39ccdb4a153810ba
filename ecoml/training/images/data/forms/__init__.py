"""Data in further forms: a CSV that lists images, Parquet and Arrow tables of them, arrays in memory, a torch data set."""
