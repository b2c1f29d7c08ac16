"""The training package of GalSim-Deep: from survey stamps to an exported module.

Its parts, in an order in which each imports only those before it::

    settings   types of settings and their limits, settings hashes
    registry   components that recipes choose by ``kind``
    recipe     the configuration file from which a module is made
    networks   encoders, decoders and normalizing flows; independent of the training loop
    data       builds an HDF5 data set from survey stamps, PSFs, noise and catalogue columns
    physics    forward model (PSF, noise) and likelihood of the observed pixels
    rendering  conversion between stamps and the frame of the galaxy
    fitting    phases, optimisers, checkpoints and logs; independent of the model families
    families   generative models: their networks, phases and signatures
    fit        the training loop; independent of the model families
    export     writes a fitted family as a module in format version 2

Everything is driven by a recipe file and the command ``galsim-deep-train data|fit|export RECIPE``.
The package ``galsim_deep`` never imports this package.  This package uses the card and the format
of modules, the readers of observations and the measurements of ``galsim_deep``, but not its
validation.
"""
