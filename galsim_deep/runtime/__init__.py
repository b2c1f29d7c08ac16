"""How this process runs: number of threads, safety of forks, atomic replacement of files."""
