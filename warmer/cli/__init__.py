"""The `warmer` command: one file for each subject, assembled in `main`."""
