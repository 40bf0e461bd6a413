"""Read data sets: archives, ratings, nested JSON, downloads and reports."""
