"""Networks and normalizing flows: small pieces that know nothing of training."""
