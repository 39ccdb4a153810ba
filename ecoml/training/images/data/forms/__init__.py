"""Data in further forms: a CSV that lists images, Parquet files of them, arrays in memory, a torch data set."""
