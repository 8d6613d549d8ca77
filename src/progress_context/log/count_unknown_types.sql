INSERT INTO log.unknown_types AS known (type, version, events, last_position)
SELECT type, version, count(*), max(position)
  FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS seen (type, version, position)
 GROUP BY type, version
    ON CONFLICT (type, version) DO UPDATE
   SET events = known.events + EXCLUDED.events, last_position = EXCLUDED.last_position
