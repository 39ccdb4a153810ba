"""Data in further forms: a CSV of images, Parquet and Arrow tables of them, arrays in memory, a data set of torch."""
