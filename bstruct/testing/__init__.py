"Conformance checks that anybody can run on a class or method of their own."
