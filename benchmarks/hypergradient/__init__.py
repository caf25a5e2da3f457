"""Cost, error and memory of every hypergradient method, beside plain autograd and the libraries
that install."""
