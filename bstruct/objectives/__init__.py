"Likelihoods, the two objectives, and what they cost."
