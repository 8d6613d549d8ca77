-- One turn of worker $1: say that it lives, keep what it holds, and take what is free, up to its fair share.
-- $2 seconds without a turn end a lease; $3 are the names of the shards, $4 of work done by one at a time.
WITH alive AS (
  INSERT INTO engine.workers AS worker (worker, seen_at) VALUES ($1, now())
      ON CONFLICT (worker) DO UPDATE SET seen_at = now()
  RETURNING worker.worker
),
forgotten AS (
  DELETE FROM engine.workers WHERE seen_at < now() - interval '1 hour'
),
others AS (
  SELECT count(*)::int AS workers, count(*) FILTER (WHERE worker < $1) AS before
    FROM engine.workers
   WHERE worker <> (SELECT worker FROM alive) AND seen_at > now() - make_interval(secs => $2)
),
share AS (  -- what does not divide evenly goes to the first workers, one each
  SELECT cardinality($3::text[]) / (workers + 1) + (before < cardinality($3::text[]) % (workers + 1))::int AS shards
    FROM others
),
mine AS (
  SELECT name, token, row_number() OVER (PARTITION BY name = ANY ($3::text[]) ORDER BY name) AS number
    FROM engine.leases
   WHERE holder = $1
),
free AS (
  SELECT name
    FROM engine.leases
   WHERE name = ANY ($3::text[]) AND holder IS DISTINCT FROM $1 AND (holder IS NULL OR expires_at < now())
   ORDER BY name
   LIMIT greatest(0, (SELECT shards FROM share) - (SELECT count(*) FROM mine WHERE name = ANY ($3::text[])))
     FOR UPDATE SKIP LOCKED
),
single AS (
  SELECT name
    FROM engine.leases
   WHERE name = ANY ($4::text[]) AND holder IS DISTINCT FROM $1 AND (holder IS NULL OR expires_at < now())
     FOR UPDATE SKIP LOCKED
),
taken AS (
  UPDATE engine.leases
     SET holder = $1, token = token + 1, expires_at = now() + make_interval(secs => $2)
   WHERE name IN (SELECT name FROM free UNION ALL SELECT name FROM single)
  RETURNING name, token
),
kept AS (
  UPDATE engine.leases AS lease
     SET expires_at = now() + make_interval(secs => $2)
    FROM mine
   WHERE lease.name = mine.name AND lease.holder = $1 AND lease.token = mine.token
     AND lease.name NOT IN (SELECT name FROM taken)
  RETURNING lease.name, lease.token, mine.number
)
SELECT name, token, false AS surplus FROM taken
 UNION ALL
SELECT name, token, name = ANY ($3::text[]) AND number > (SELECT shards FROM share) FROM kept
