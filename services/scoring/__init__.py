"""How every customer is doing: folds facts into state, assesses health and coverage, answers questions."""
