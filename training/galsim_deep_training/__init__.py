"""The workshop of GalSim-Deep: from survey stamps to an exported module.

Data flow in one direction, one room each::

    data      survey stamps, PSFs, noise, catalogue columns  ->  one HDF5 data set
    physics   what the instrument does to a light profile, and how likely the pixels then are
    networks  encoders, decoders and normalizing flows, knowing nothing of training
    families  a generative model: its networks, its losses, its signatures
    fit       the training loop, checkpoints and logs; knows no family by name
    export    a fitted family becomes a module in format version 1

Everything is driven by a recipe file and the command ``galsim-deep-train data|fit|export RECIPE``.
The plugin ``galsim_deep`` never imports this package.
"""
