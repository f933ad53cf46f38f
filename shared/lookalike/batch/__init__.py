"""Work on many photos or rows at once, for the command line: ingestion, detection, product details, diagnostics."""
