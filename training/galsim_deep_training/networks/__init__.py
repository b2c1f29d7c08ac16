"""Layers, networks and normalizing flows that several model families use."""
