"""The served model. Its modules import no compiler and no code of training."""
