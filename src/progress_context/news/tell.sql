-- Send the news of a page and move on from position $1 to $2, in one commit. When another process moved on
-- before, or the lease whose token is $3 (null: without a lease) was taken by one, nothing is done: `moved` tells.
-- $4 and on are the rows of `page.sql`, column by column. What the log has under its name was told before, and is
-- not told again. The head of the log is locked last.
WITH moved AS (
  UPDATE ops.news SET position = $2
   WHERE position = $1
     AND ($3::bigint IS NULL OR EXISTS (SELECT FROM engine.leases WHERE name = 'news' AND token = $3))
  RETURNING position
),
rows AS (
  SELECT *
    FROM unnest($4::text[], $5::text[], $6::bigint[], $7::timestamptz[], $8::date[], $9::text[], $10::integer[], $11::text[])
         WITH ORDINALITY AS news (id, type, learner_key, at, day, data, streak, standing, number)
   WHERE EXISTS (SELECT FROM moved)
),
told AS (
  INSERT INTO ops.told AS told (learner_key, streak, last_day, standing)
  SELECT learner_key, streak, day, standing FROM rows WHERE standing IS NOT NULL
      ON CONFLICT (learner_key) DO UPDATE
     SET streak = coalesce(EXCLUDED.streak, told.streak), last_day = coalesce(EXCLUDED.last_day, told.last_day),
         standing = EXCLUDED.standing
  RETURNING learner_key
),
events AS (
  SELECT array_agg(id ORDER BY number) AS ids, array_agg(type ORDER BY number) AS types,
         array_agg(learner_key ORDER BY number) AS learner_keys, array_agg(at ORDER BY number) AS at,
         array_agg(day ORDER BY number) AS days, array_agg(data ORDER BY number) AS data
    FROM rows
   WHERE id IS NOT NULL AND (SELECT count(*) FROM told) >= 0
),
sent AS (
  SELECT type
    FROM events
   CROSS JOIN log.append_own(ids, types, learner_keys, at, days, data) AS event
    JOIN rows ON rows.id = event.id
   WHERE stored
)
SELECT EXISTS (SELECT FROM moved) AS moved,
       (SELECT count(*) FROM sent WHERE type = 'progress.StreakUpdated') AS streaks,
       (SELECT count(*) FROM sent WHERE type = 'progress.MilestoneAchieved') AS milestones
