"Evidence: gap to the truth and CPU time, for the estimators of bstruct and for other libraries."
