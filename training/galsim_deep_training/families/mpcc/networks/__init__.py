"""Networks of MPCC: generator, discriminator, encoder, mixture prior and class weights."""
