-- What goes out and what could not come in, as JSON: relays to topics, the teller of news, dead letters that wait.
WITH moment AS MATERIALIZED (
  SELECT clock_timestamp() AS at, position AS head FROM log.head
),
relay_row AS (
  SELECT topic, relay.position, moved_at, head - relay.position AS lag_events,
         coalesce(greatest(0, extract(epoch FROM at - waiting.recorded_at)), 0) AS lag_seconds,
         expires_at > at AS held,
         (SELECT count(*) FROM ops.unpublished WHERE unpublished.topic = relay.topic) AS unpublished
    FROM moment
   CROSS JOIN ops.relays AS relay
    LEFT JOIN LATERAL (
     SELECT recorded_at FROM log.events AS event WHERE event.position = relay.position + 1 OFFSET 0) AS waiting ON true
)
SELECT json_build_object(
         'relays', (SELECT coalesce(json_agg(relay_row ORDER BY topic), '[]') FROM relay_row),
         'news', (SELECT json_build_object('position', news.position, 'lag_events', head - news.position)
                    FROM ops.news),
         'dead_letters', (SELECT json_build_object('count', count(*), 'since', min(first_seen_at))
                            FROM ops.dead_letters WHERE settled_at IS NULL))::text
  FROM moment
