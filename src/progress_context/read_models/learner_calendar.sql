-- name:   learner_calendar
-- about:  The last word on where a learner is and when their day begins: from profile and events alike.
-- kind:   fold
-- grain:  learner_key
-- update: realtime
-- merge:  zone last, rollover_hour last
WITH said AS (
  SELECT learner_key, occurred_at, position, zone,
         CASE WHEN type IN ('user.UserCreated', 'user.PreferencesUpdated') THEN data ELSE '{}' END AS profile
  FROM   events
)
SELECT learner_key,
       max(stamp(occurred_at, position, to_jsonb(coalesce(profile->>'time_zone', zone))))
         FILTER (WHERE coalesce(profile->>'time_zone', zone) IS NOT NULL) AS zone,
       max(stamp(occurred_at, position, (profile->>'day_rollover_hour')::float8))
         FILTER (WHERE profile->>'day_rollover_hour' IS NOT NULL) AS rollover_hour
FROM   said
WHERE  zone IS NOT NULL OR profile->>'time_zone' IS NOT NULL OR profile->>'day_rollover_hour' IS NOT NULL
GROUP  BY learner_key
