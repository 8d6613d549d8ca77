-- Operators see how everything stands through any service that answers them.

GRANT SELECT ON ops.relays, ops.unpublished TO progress_projection;
GRANT SELECT ON ops.news TO progress_query;
