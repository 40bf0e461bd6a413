"""Model training: factorization, blend, stars, match percent, checkpoints and configuration."""
