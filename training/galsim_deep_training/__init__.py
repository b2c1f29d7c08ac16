"""The training half of GalSim-Deep: from survey stamps to an exported module.

Data flow in one direction, through one package each::

    data      survey stamps, PSFs, noise, catalogue columns  ->  one HDF5 data set
    physics   what the instrument does to a light profile, and how likely the pixels then are
    rendering from the galaxy's own frame to the sky and back
    networks  encoders, decoders and normalizing flows, knowing nothing of training
    fitting   phases, optimisers, checkpoints, logs; knows no family by name
    families  generative models: their networks, their phases, their signatures
    fit       the training loop; knows no family by name
    export    a fitted family becomes a module in format version 2

Everything is driven by a recipe file and the command ``galsim-deep-train data|fit|export RECIPE``.
The plugin ``galsim_deep`` never imports this package.
"""
