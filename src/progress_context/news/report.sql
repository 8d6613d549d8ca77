-- The figures of the learning days $1 … $2 of the learners $3, and what was told of them before, if anything was.
-- $4 is what the names of these reports begin with.
SELECT learner_id,
       learner_key,
       $4::text || learner_key AS id,
       sent.position,
       sent.data,
       total.figures
  FROM log.learners
 CROSS JOIN LATERAL (
       SELECT json_build_object(
                'active_days', count(*) FILTER (WHERE reviews + sessions + activities > 0),
                'sessions', coalesce(sum(sessions), 0)::bigint,
                'activities', coalesce(sum(activities), 0)::bigint,
                'reviews', coalesce(sum(reviews), 0)::bigint,
                'correct', coalesce(sum(correct), 0)::bigint,
                'accuracy', sum(correct)::float8 / nullif(sum(reviews), 0)::float8,
                'new_items', coalesce(sum(new_items), 0)::bigint,
                'items_mastered', coalesce(sum(items_mastered), 0)::bigint,
                'study_seconds', coalesce(sum(study_ms), 0)::float8 / 1000)::text AS figures
         FROM read.daily_stats AS day
        WHERE day.learner_key = learners.learner_key AND learning_day BETWEEN $1 AND $2) AS total
  LEFT JOIN LATERAL (
       SELECT position, data
         FROM log.events AS event
        WHERE event.source = 'progress-context' AND event.id = $4 || learners.learner_key
       OFFSET 0) AS sent ON true
 WHERE learner_key = ANY ($3::bigint[])
 ORDER BY learner_key
