"""The demo company: Tidewick Networks, made up for this project."""
