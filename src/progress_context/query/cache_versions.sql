-- What the answers about learners ($1, by id) depend on, in one snapshot; $2 is the moment asked about, $3 what the
-- one who asks about each may see (an array of patterns as text; null: everyone).
-- Every commit that may change a learner's rows changes one of these: the newest of the learner's events, and of the
-- events of nobody (the vocabulary), that realtime and batch read models have folded; events that are put aside;
-- which versions are active, since when, in which database; and the learner's date. While read models are at
-- different positions, as batches are between a swap and their next run, `settled` is false.
WITH reached AS MATERIALIZED (
  SELECT version.version_id, version.update_mode, version.activated_at, checkpoint.shard, checkpoint.position
    FROM engine.versions AS version
    JOIN engine.checkpoints AS checkpoint USING (version_id)
   WHERE version.status = 'active'
),
state AS MATERIALIZED (
  SELECT coalesce(sum(hashint8extended(version_id, 0)) FILTER (WHERE shard = 0), 0)::text AS versions,
         concat_ws(' ', sum(hash_record_extended((version_id, activated_at), 0)) FILTER (WHERE shard = 0),
                   (SELECT oid FROM pg_database WHERE datname = current_database()),
                   extract(epoch FROM pg_postmaster_start_time())) AS generation,
         coalesce(min(position) FILTER (WHERE update_mode = 'realtime'), 0) AS position,
         min(position) FILTER (WHERE update_mode = 'batch') AS batched,
         coalesce(min(position) FILTER (WHERE update_mode = 'batch')
                = max(position) FILTER (WHERE update_mode = 'batch'), true)
           AND NOT EXISTS (SELECT FROM reached AS realtime WHERE update_mode = 'realtime'
                            GROUP BY shard HAVING min(position) <> max(position)) AS settled,
         (SELECT array_agg(position) FROM engine.parked WHERE learner_key IS NULL) AS parked,
         coalesce(max(shard) FILTER (WHERE update_mode = 'realtime'), 0) + 1 AS shards
    FROM reached
)
SELECT asked.number, learner.learner_key, state.versions, state.generation, state.position, state.settled, local.today,
       concat_ws(' ', learner.learner_key,
                 coalesce(own.position, 0), coalesce(batched.position, 0), coalesce(shared.position, 0),
                 coalesce(looked_up.position, 0), coalesce(looked_up_in_batches.position, 0),
                 coalesce(parked.position, 0), state.parked, local.today) AS version
  FROM unnest($1::text[], $3::text[]) WITH ORDINALITY AS asked (learner_id, sight, number)
 CROSS JOIN state
  LEFT JOIN LATERAL (:learner) AS learner ON true
  LEFT JOIN LATERAL (
       SELECT min(position) AS upto
         FROM reached WHERE update_mode = 'realtime' AND shard = learner.learner_key % state.shards) AS shard ON true
  LEFT JOIN LATERAL (
       SELECT position FROM log.events AS event
        WHERE event.learner_key = learner.learner_key AND event.position <= shard.upto
        ORDER BY position DESC LIMIT 1) AS own ON true
  LEFT JOIN LATERAL (
       SELECT position FROM log.events AS event
        WHERE event.learner_key = learner.learner_key AND event.position <= state.batched
        ORDER BY position DESC LIMIT 1) AS batched ON true
  LEFT JOIN LATERAL (
       SELECT position FROM log.events AS event
        WHERE event.learner_key IS NULL AND event.position <= shard.upto
        ORDER BY position DESC LIMIT 1) AS shared ON true
  LEFT JOIN LATERAL (
       SELECT position FROM log.events AS event
        WHERE event.learner_key IS NULL
          AND event.position <= (SELECT min(position) FROM reached WHERE update_mode = 'realtime' AND shard = 0)
        ORDER BY position DESC LIMIT 1) AS looked_up ON true
  LEFT JOIN LATERAL (
       SELECT position FROM log.events AS event
        WHERE event.learner_key IS NULL AND event.position <= state.batched
        ORDER BY position DESC LIMIT 1) AS looked_up_in_batches ON true
  LEFT JOIN engine.parked AS parked ON parked.learner_key = learner.learner_key
  LEFT JOIN LATERAL (:asked) AS local ON true
 ORDER BY asked.number
