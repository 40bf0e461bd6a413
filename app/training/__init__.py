"""Model training: jobs, worker, training, publication and registry."""
