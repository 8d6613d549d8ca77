-- Whether enough has happened since the newest snapshot: $1 events, but never less than a tenth of the log, so that
-- the copies cost each event the same however long the log grows; or any event, when $2 has passed.
SELECT since > 0 AND (since >= $1 AND since >= 0.1 * position OR now() - coalesce(taken_at, first_recorded_at) >= $2)
  FROM (SELECT head.position,
               head.position - coalesce(newest.position, 0) AS since,
               newest.taken_at,
               (SELECT recorded_at FROM log.events WHERE position = 1) AS first_recorded_at
          FROM log.head AS head
          LEFT JOIN (SELECT position, taken_at FROM engine.snapshots ORDER BY position DESC LIMIT 1) AS newest
            ON true) AS progress
