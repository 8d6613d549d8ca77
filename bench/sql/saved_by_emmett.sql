SELECT count(*) AS rows, count(DISTINCT message_data->>'id') AS events FROM emt_messages
