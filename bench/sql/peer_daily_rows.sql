SELECT learner, day, reviews, correct, activities FROM daily_stats
