-- Messages from other contexts that could not be stored: kept as they came until somebody settles them.

CREATE SCHEMA IF NOT EXISTS ops;

CREATE TABLE ops.dead_letters (
  letter_id     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  channel       text        NOT NULL CHECK (channel IN ('pull', 'push')),
  subscription  text        NOT NULL,
  message_id    text        NOT NULL,
  code          text        NOT NULL,                -- what kind of refusal, stable
  path          text        NOT NULL,                -- the field at fault, empty for the message itself
  reason        text        NOT NULL,
  attempts      integer     NOT NULL DEFAULT 1,      -- how often it was received or tried
  published_at  timestamptz,
  first_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_seen_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  settled_as    text        CHECK (settled_as IN ('stored', 'edited', 'dropped')),   -- null: it waits
  settled_at    timestamptz,
  ordering_key  text        NOT NULL,
  wrapped       boolean     NOT NULL,                -- the payload is the body of a push without a message in it
  size          bigint      NOT NULL,                -- bytes of the payload as received
  attributes    json,                                -- json keeps any text that jsonb refuses
  payload       bytea       CHECK (octet_length(payload) <= 33554432),
  UNIQUE (subscription, message_id),
  CHECK ((settled_as IS NULL) = (settled_at IS NULL)),
  CHECK ((settled_as IS NULL) = (payload IS NOT NULL AND attributes IS NOT NULL))   -- settled: only the fact stays
);
CREATE INDEX dead_letters_waiting ON ops.dead_letters (letter_id) WHERE settled_at IS NULL;

-- Payloads may name people: only the service that received them may read them.
GRANT USAGE ON SCHEMA ops TO progress_command, progress_projection, progress_query;
GRANT SELECT, INSERT, UPDATE ON ops.dead_letters TO progress_command;
GRANT SELECT (letter_id, channel, subscription, message_id, code, path, attempts, published_at, first_seen_at,
              last_seen_at, settled_as, settled_at, size)
  ON ops.dead_letters TO progress_projection, progress_query;
