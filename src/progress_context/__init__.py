"""Event-sourced learning progress: keeps every event, shows every angle, at any past moment."""

__version__ = "0.1.0"
