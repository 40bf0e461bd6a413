"""Training, batch inference, tuning and evaluation on files, without a database."""
