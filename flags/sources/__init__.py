"""What feeds a flag client: one adapter for each place that flags can come from."""
