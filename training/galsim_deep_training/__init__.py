"""The training half of GalSim-Deep: from survey stamps to an exported module.

Its parts, in an order in which each imports only those before it::

    settings   what recipes set: types of numbers, limits, identities
    registry   kinds of things that recipes choose by name
    recipe     the configuration file that makes a module
    networks   layers with weights and normalizing flows, knowing nothing of training
    data       survey stamps, PSFs, noise, catalogue columns  ->  one HDF5 data set
    physics    what the instrument does to a light profile, and how likely the pixels then are
    rendering  from the galaxy's own frame to the sky and back
    fitting    phases, optimisers, checkpoints, logs; knows no family by name
    families   generative models: their networks, their phases, their signatures
    fit        the training loop; knows no family by name
    export     a fitted family becomes a module in format version 2

Everything is driven by a recipe file and the command ``galsim-deep-train data|fit|export RECIPE``.
The plugin ``galsim_deep`` never imports this package.  Of the plugin, this package uses the card
and the format of modules, the readers of observations and the measurements, never the validation.
"""
