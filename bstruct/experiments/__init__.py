"Experiments: data sets, comparisons with paired seeds, and what a search is compared with."
