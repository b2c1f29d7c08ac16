"""Measurements on stamps: moments, Sersic fits, half-light radius, morphology, shear."""
