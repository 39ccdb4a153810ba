"""Other forms of data: a CSV that lists images, Parquet and Arrow tables, arrays in memory, a torch data set."""
