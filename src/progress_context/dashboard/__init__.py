"""The dashboard: static pages, served as they are."""
