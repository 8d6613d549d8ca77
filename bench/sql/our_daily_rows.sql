SELECT learner_id AS learner, learning_day AS day, reviews, correct, activities
  FROM read.daily_stats JOIN log.learners USING (learner_key)
