"""The forward model of the instrument and the likelihood of the observed pixels.

A light profile is convolved with the PSF (`convolution`), noise is added (`observation`), and the
resulting stamp is compared with the observed one (`likelihood`).
"""
