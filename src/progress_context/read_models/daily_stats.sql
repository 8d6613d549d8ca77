-- name:   daily_stats
-- about:  What a learner did on each learning day.
-- kind:   rollup
-- grain:  learner_key, learning_day
-- update: realtime
WITH contributions (learner_key, learning_day, weight, reviews, correct, response_time_ms, timed_reviews,
                    activities, sessions, sessions_abandoned, study_ms, new_items, items_mastered,
                    ai_tokens, ai_cost) AS (
  SELECT learner_key, learning_day, weight, 1, (data->>'judgment' <> 'UserConfirmedIncorrect')::int,
         (data->>'response_time_ms')::numeric, (data->>'response_time_ms' IS NOT NULL)::int, 0, 0, 0, 0, 0, 0, 0, 0
  FROM   events
  WHERE  type = 'learning.CorrectnessJudged'
  UNION ALL
  SELECT learner_key, learning_day, weight, 0, 0, 0, 0, 1, 0, 0,
         round(1000 * least(cap_seconds, coalesce((data->>'duration_seconds')::numeric, 0))), 0, 0, 0, 0
  FROM   events CROSS JOIN policy
  WHERE  type = 'learning.ActivityRecorded'
  UNION ALL
  SELECT learner_key, learning_day, weight, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
         (data->>'tokens_used')::numeric, (data->>'cost')::numeric
  FROM   events
  WHERE  type = 'ai.UsageRecorded'
  UNION ALL
  SELECT learner_key, day_of(first_review), weight, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0
  FROM   item_progress
  WHERE  first_review IS NOT NULL
  UNION ALL
  SELECT learner_key, day_of(first_mastered), weight, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0
  FROM   item_progress
  WHERE  first_mastered IS NOT NULL
  UNION ALL
  SELECT learner_key, day_of(coalesce(completion, abandonment)), weight, 0, 0, 0, 0, 0,
         (completion IS NOT NULL)::int, (completion IS NULL)::int,
         round(1000 * least(cap_seconds, coalesce(
           sent_seconds[3]::numeric,
           (SELECT sum(extract(epoch FROM upper(stretch) - lower(stretch) - idle_gap)) FROM unnest(active) AS stretch)))),
         0, 0, 0, 0
  FROM   sessions CROSS JOIN policy
  WHERE  completion IS NOT NULL OR abandonment IS NOT NULL
)
SELECT learner_key,
       learning_day,
       sum(weight) AS row_count,
       sum(weight * sessions) AS sessions,
       sum(weight * sessions_abandoned) AS sessions_abandoned,
       sum(weight * reviews) AS reviews,
       sum(weight * correct) AS correct,
       sum(weight * response_time_ms) AS response_time_ms,
       sum(weight * timed_reviews) AS timed_reviews,
       sum(weight * new_items) AS new_items,
       sum(weight * items_mastered) AS items_mastered,
       sum(weight * activities) AS activities,
       sum(weight * study_ms) AS study_ms,
       sum(weight * ai_tokens) AS ai_tokens,
       sum(weight * ai_cost) AS ai_cost
FROM   contributions
GROUP  BY learner_key, learning_day
