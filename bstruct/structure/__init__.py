"What may vary in a model: one variable, its law, and all variables of a graph together."
