"""The parts of every fit: phases, optimisers, precision, distribution over devices."""
