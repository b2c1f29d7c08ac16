"""What the instrument does to a light profile, and how likely the observed pixels then are."""
