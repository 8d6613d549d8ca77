-- Publishing the log to a broker: how far it came, who does it, and what the broker would not take.

CREATE SCHEMA IF NOT EXISTS ops;

-- One row per topic. Every event up to the position was accepted, or stands in ops.unpublished. One process at a
-- time publishes: whoever takes over raises the token, and the position moves only for the holder of the token.
CREATE TABLE ops.relays (
  topic      text        PRIMARY KEY,
  position   bigint      NOT NULL DEFAULT 0,
  moved_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  holder     text,
  token      bigint      NOT NULL DEFAULT 0,
  expires_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 10);

-- Events that the broker refused for what they are: their neighbours were published, they were not.
CREATE TABLE ops.unpublished (
  topic       text        NOT NULL REFERENCES ops.relays,
  position    bigint      NOT NULL,
  learner_key bigint,
  type        text        NOT NULL,
  reason      text        NOT NULL,
  refused_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (topic, position)
);

GRANT USAGE ON SCHEMA ops TO progress_command, progress_projection, progress_query;
GRANT SELECT, INSERT, UPDATE ON ops.relays TO progress_command;
GRANT SELECT, INSERT ON ops.unpublished TO progress_command;
GRANT SELECT ON ops.relays, ops.unpublished TO progress_query;
