"The ways through the structures of a graph, one a module."
