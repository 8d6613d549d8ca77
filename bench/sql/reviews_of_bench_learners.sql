SELECT coalesce(sum(reviews), 0)::bigint AS reviews
  FROM read.daily_stats JOIN log.learners USING (learner_key)
 WHERE learner_id LIKE 'bench-%'
