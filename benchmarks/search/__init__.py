"The structure search beside simpler searches over the same graph, and beside scikit-learn."
