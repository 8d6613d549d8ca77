-- name:   skill_reviews
-- about:  The reviews that name the skill they trained.
-- kind:   fold
-- grain:  learner_key, domain
-- update: realtime
SELECT learner_key,
       data->>'domain' AS domain,
       count(*) AS reviews,
       count(*) FILTER (WHERE data->>'judgment' <> 'UserConfirmedIncorrect') AS correct,
       sum((data->>'response_time_ms')::numeric) AS response_time_ms
FROM   events
WHERE  type = 'learning.CorrectnessJudged' AND data->>'domain' IS NOT NULL
GROUP  BY learner_key, domain
