"""What fits the model: factorization, blend, stars, match percent, checkpoints and configuration."""
