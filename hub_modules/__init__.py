"""The modules that come with GalSim-Deep, one folder each; ``index.json`` lists them."""
