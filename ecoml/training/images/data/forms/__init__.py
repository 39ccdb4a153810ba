"""Other forms of data: a CSV that lists images, Parquet files of images, arrays in memory, a torch data set."""
