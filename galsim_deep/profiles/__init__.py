"""GalSim profiles made from stamps."""
