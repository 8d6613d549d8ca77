-- name:   item_stats
-- about:  How a learner stands with each item.
-- kind:   view
-- grain:  learner_key, item_id
-- update: lazy
SELECT progress.learner_key,
       progress.item_id,
       catalogue.spelling[3] #>> '{}' AS spelling,
       catalogue.level[3] #>> '{}' AS level,
       first_seen_at,
       last_reviewed_at,
       reviews,
       correct,
       correct::float8 / nullif(reviews, 0) AS accuracy,
       response_time_ms::float8 / nullif(timed_reviews, 0) AS average_response_time_ms,
       mastery_level[3] AS mastery_level,
       coalesce(mastered[3] = 1, false) AS mastered,
       time_of(next_review) AS next_review_at,
       easiness[3] AS easiness,
       last_review[3] = 1 AS last_answer_correct,
       coalesce(time_of(next_review) < asked.at, false) AS overdue,
       reviews >= 5 AND correct < 0.6 * reviews AS struggling
FROM   item_progress AS progress
LEFT   JOIN item_catalogue AS catalogue ON catalogue.item_id = progress.item_id
CROSS  JOIN asked
