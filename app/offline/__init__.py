"""Training, prediction and evaluation on files, without a database."""
