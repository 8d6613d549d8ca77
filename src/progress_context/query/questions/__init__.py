"""One SQL file for each question that the API asks."""
