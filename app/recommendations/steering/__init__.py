"""Steering of lists besides the model: promotions of operators, and preferences of members."""
