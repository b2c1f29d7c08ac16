"""Phases of a fit: what is minimised, on which batches, and what is saved."""
