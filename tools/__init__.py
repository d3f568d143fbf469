"""Programs beside the suite: `python -m tools.bench` and the like."""
