"""Model evaluation: protocols, baselines, comparison and tuning."""
