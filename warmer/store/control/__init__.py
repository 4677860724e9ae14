"""Operations of the control server: one object for each subject, such as tasks, refreshes, reads or limits."""
