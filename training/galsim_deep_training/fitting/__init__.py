"""What every fit shares: phases, optimisers, precision, distribution over devices."""
