SELECT to_jsonb(shown) AS row, count(*) OVER () AS total FROM :read_model AS shown ORDER BY :grain LIMIT $2
