"""What this service tells the world itself: streaks, milestones and reports, as events in the log."""
