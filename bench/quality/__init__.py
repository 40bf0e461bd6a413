"""Quality of recommendations and of predicted ratings, measured by `marquee evaluate`."""
