"""From survey images to one HDF5 data set of stamps, PSFs, noise levels and columns."""
