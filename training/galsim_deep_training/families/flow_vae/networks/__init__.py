"""Networks of the Flow-VAE: encoders, decoders and the prior of the latents."""
