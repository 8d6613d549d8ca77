-- What lies at positions $1 … $2 of a log that grows by sessions of 20 events: who learns is drawn from the
-- learners there are by then, one for every 500 events, and each has 120 items. Ids are random, as UUIDs are.
SELECT position,
       md5(position::text)::uuid::text AS id,
       CASE WHEN slot = 0     THEN 'learning.SessionStarted'
            WHEN slot = 19    THEN 'learning.SessionCompleted'
            WHEN slot % 3 = 1 THEN 'learning.CorrectnessJudged'
            WHEN slot % 3 = 2 THEN 'algorithm.ReviewRecorded'
            ELSE                   'algorithm.ReviewScheduled' END AS type,
       learner_key,
       occurred_at,
       occurred_at::date AS learning_day,
       CASE WHEN slot IN (0, 19)
            THEN jsonb_build_object('session_id', 'session-' || session, 'total_items', 6, 'duration_seconds', 95)
            WHEN slot % 3 = 1
            THEN jsonb_build_object('session_id', 'session-' || session, 'item_id', item_id, 'domain', 'reading',
                                    'judgment', CASE chance % 4 WHEN 0 THEN 'UserConfirmedIncorrect' ELSE 'AutoConfirmed' END,
                                    'response_time_ms', 400 + chance % 9000)
            WHEN slot % 3 = 2
            THEN jsonb_build_object('item_id', item_id, 'quality', chance % 6, 'response_time_ms', 400 + chance % 9000,
                                    'is_correct', true, 'review_type', 'review')
            ELSE jsonb_build_object('item_id', item_id, 'next_review_at', occurred_at + interval '3 days', 'interval_days', 3,
                                    'easiness_factor', 2.5, 'repetition_count', 2, 'algorithm_version', 'sm2-1') END AS data
  FROM generate_series($1::bigint, $2::bigint) AS position
 CROSS JOIN LATERAL (
       SELECT (position - 1) / 20 AS session, ((position - 1) % 20)::int AS slot) AS place
 CROSS JOIN LATERAL (
       SELECT abs(hashint8(session * 8 + (slot + 2) / 3)::bigint) AS chance,
              1 + abs(hashint8(session)::bigint) % greatest(1000, session / 25) AS learner_key,
              TIMESTAMPTZ '2025-11-20 00:00Z' + make_interval(secs => session * 59 + slot * 5) AS occurred_at) AS who
 CROSS JOIN LATERAL (
       SELECT 'item-' || lpad(((learner_key * 37 + chance % 120) % 2000)::text, 5, '0') AS item_id) AS what
 ORDER BY position
