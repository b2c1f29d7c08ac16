"""Phases of the fit of MPCC."""
