"""Pure numerics: arrays in, arrays out. No SQL, no web; only artifact.py touches the disk."""
