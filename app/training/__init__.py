"""From a request to a published model: jobs, worker, training, publication and registry."""
