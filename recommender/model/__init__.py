"""The served model: NumPy only, no compiler and no fit of the whole."""
