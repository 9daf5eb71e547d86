"""The suite; a package of its own name would be found instead where a test dependency ships one (canaille does)."""
