-- What the log holds of the benchmark's events: rows, and events by name.
SELECT count(*) AS rows, count(DISTINCT id) AS events FROM log.events WHERE source = 'urn:bench:learning'
