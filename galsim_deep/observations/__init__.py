"""Real galaxies as surveys observed them: catalogue readers, noise, clipping."""
