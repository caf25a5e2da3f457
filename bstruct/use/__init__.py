"Tables in, answers out: estimators, reports and the command line."
