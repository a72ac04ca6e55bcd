"""The command line: what an operator says to Genki. `services/__main__.py` opens it."""
