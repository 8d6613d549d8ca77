-- name:   item_progress
-- about:  Everything one learner did with one item, as sums and last words; the step behind ItemStats.
-- kind:   fold
-- grain:  learner_key, item_id
-- update: realtime
-- merge:  first_seen_at min, last_reviewed_at max, first_review first, last_review last,
--         first_mastered first, mastered last, mastery_level last, next_review last, easiness last
SELECT learner_key,
       data->>'item_id' AS item_id,
       min(occurred_at) AS first_seen_at,
       max(occurred_at) FILTER (WHERE type = 'learning.CorrectnessJudged') AS last_reviewed_at,
       count(*) FILTER (WHERE type = 'learning.CorrectnessJudged') AS reviews,
       count(*) FILTER (WHERE type = 'learning.CorrectnessJudged'
                          AND data->>'judgment' <> 'UserConfirmedIncorrect') AS correct,
       sum((data->>'response_time_ms')::numeric) FILTER (WHERE type = 'learning.CorrectnessJudged')
         AS response_time_ms,
       count(data->>'response_time_ms') FILTER (WHERE type = 'learning.CorrectnessJudged')
         AS timed_reviews,
       count(*) FILTER (WHERE type = 'learning.CorrectnessJudged' AND data->>'domain' IS NULL) AS unnamed_reviews,
       count(*) FILTER (WHERE type = 'learning.CorrectnessJudged' AND data->>'domain' IS NULL
                          AND data->>'judgment' <> 'UserConfirmedIncorrect') AS unnamed_correct,
       sum((data->>'response_time_ms')::numeric)
         FILTER (WHERE type = 'learning.CorrectnessJudged' AND data->>'domain' IS NULL) AS unnamed_response_time_ms,
       min(stamp(occurred_at, position, day_number(learning_day)))
         FILTER (WHERE type = 'learning.CorrectnessJudged') AS first_review,
       max(stamp(occurred_at, position, (data->>'judgment' <> 'UserConfirmedIncorrect')::int))
         FILTER (WHERE type = 'learning.CorrectnessJudged') AS last_review,
       min(stamp(occurred_at, position, day_number(learning_day)))
         FILTER (WHERE type = 'algorithm.ItemMastered'
                    OR (type = 'learning.ItemMasteryUpdated' AND data->'mastered' = 'true')) AS first_mastered,
       max(stamp(occurred_at, position, (type = 'algorithm.ItemMastered' OR data->'mastered' = 'true')::int))
         FILTER (WHERE type IN ('algorithm.ItemMastered', 'learning.ItemMasteryUpdated')) AS mastered,
       max(stamp(occurred_at, position, (data->>'mastery_level')::float8))
         FILTER (WHERE type = 'learning.ItemMasteryUpdated') AS mastery_level,
       max(stamp(occurred_at, position, date_part('epoch', (data->>'next_review_at')::timestamptz)))
         FILTER (WHERE type = 'algorithm.ReviewScheduled') AS next_review,
       max(stamp(occurred_at, position, (data->>CASE type WHEN 'algorithm.DifficultyAdjusted'
                                                    THEN 'new_easiness_factor' ELSE 'easiness_factor' END)::float8))
         FILTER (WHERE type = 'algorithm.DifficultyAdjusted'
                    OR (type = 'algorithm.ReviewScheduled' AND data->>'easiness_factor' IS NOT NULL)) AS easiness
FROM   events
WHERE  type IN ('learning.CorrectnessJudged', 'learning.ItemMasteryUpdated', 'algorithm.ReviewScheduled',
                'algorithm.DifficultyAdjusted', 'algorithm.ItemMastered')
GROUP  BY learner_key, item_id
