SELECT source, id
  FROM unnest($1::text[], $2::text[]) AS sent (source, id)
 WHERE EXISTS (SELECT FROM log.events AS event WHERE event.source = sent.source AND event.id = sent.id)
