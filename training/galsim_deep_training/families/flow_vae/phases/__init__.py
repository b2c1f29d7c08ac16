"""Phases of the fit of a Flow-VAE."""
