"""What there is (model), what we need from outside (ports), and what can go wrong (errors)."""
