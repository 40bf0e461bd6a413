"""Lists of recommendations: personal lists, home, shelves, groups, onboarding and profiles."""
