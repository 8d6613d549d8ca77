SELECT learner_id AS learner, learning_day AS day, reviews, correct, activities
  FROM public.daily_counts JOIN log.learners USING (learner_key)
