"The steps that searches share; each is a function of graph, task and plan."
