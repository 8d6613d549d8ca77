-- Keep what user.* events said, and tell other writers that a profile changed.
WITH added AS (
  INSERT INTO log.profiles (learner_key, position, effective_at, time_zone, rollover_hour)
  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::text[], $5::integer[])
  RETURNING position
)
UPDATE log.head SET profile_position = (SELECT max(position) FROM added)
