"""GraphQL over the read models; this side cannot write."""
