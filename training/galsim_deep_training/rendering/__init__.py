"""Conversion between postage stamps and the frame of the galaxy.

In the frame of a galaxy the origin is the centre of the galaxy, the unit of length is its
half-light radius and the x axis points along its major axis. Networks that work in this frame do
not need to learn that galaxies have all sizes and all position angles.
"""
