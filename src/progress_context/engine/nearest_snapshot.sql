-- The tables of the newest snapshot at or before position $1 that can be built on: none of it was found damaged,
-- and the read models $2 still have the fingerprints $3 there. For a learner $4 (null: for everyone) the rows must
-- be theirs at that position, and no event behind them may have been voided between the snapshot and $1.
WITH matching AS (
  SELECT *
    FROM engine.snapshot_tables
    JOIN unnest($2::text[], $3::text[]) AS wanted (read_model, fingerprint) USING (read_model, fingerprint)
), nearest AS (
  SELECT *
    FROM engine.snapshots AS snapshot
   WHERE snapshot.position <= $1
     AND snapshot_id IN (SELECT snapshot_id FROM matching)
     AND NOT EXISTS (
         SELECT FROM engine.snapshot_tables AS part
          WHERE part.snapshot_id = snapshot.snapshot_id AND part.damaged_at IS NOT NULL)
     AND ($4::bigint IS NULL
          OR $4 <> ALL (snapshot.parked)
         AND NOT EXISTS (
             SELECT FROM log.voids AS void
               JOIN log.events AS event USING (source, id, learner_key)
              WHERE void.learner_key = $4
                AND void.position > snapshot.position AND void.position <= $1
                AND event.position <= snapshot.position))
   ORDER BY snapshot.position DESC, snapshot_id DESC
   LIMIT 1
)
SELECT snapshot_id, position, parked, read_model, table_name FROM nearest JOIN matching USING (snapshot_id)
