"""Layers and networks with weights, and normalizing flows, that several model families share."""
