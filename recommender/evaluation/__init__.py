"""How good a model is: protocols, baselines, comparison and tuning."""
