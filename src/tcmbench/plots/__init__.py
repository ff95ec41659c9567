"""Pictures of measured runs; one file a figure."""
