"""Experiments: assign members to arms, and compare the arms by what their members did."""
