"Does `bstruct.compare` pick the right model? Laws, contestants, runs and tables."
