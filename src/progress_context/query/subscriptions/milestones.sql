-- The milestones told of a learner ($1, by key) behind position $2 and up to $3, in order; at most $4.
SELECT position,
       data->>'type' AS type,
       (data->'details'->>'threshold')::int AS threshold,
       data->'details'->>'level' AS level,
       (data->'details'->>'achieved_on')::date AS "achievedOn"
  FROM log.events
 WHERE learner_key = $1 AND position > $2 AND position <= $3
   AND type = 'progress.MilestoneAchieved' AND source = 'progress-context'
 ORDER BY position
 LIMIT $4
