"""Feed a running system: import files, send simulated learners."""
