"""What the system does, one file a verb."""
